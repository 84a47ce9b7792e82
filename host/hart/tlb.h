// SPDX-License-Identifier: Apache-2.0
// The data TLB of one hart: tables that the interpreter and translated code probe with one load. Owned by the hart's
// thread; nobody else reads or writes it.
//
// The form of an entry. RAM is a power of two, 2^L bytes. For a virtual page that maps to RAM the entry is
//     E = (virtual page address) XOR (page's offset in RAM),
// so that x = va XOR E is the offset in RAM of the access, and any other virtual page that shares the slot gives an x
// with a bit at or above L. One test therefore does for tag, range and alignment:
//     hit  <=>  (x & ~(2^L - size)) == 0          size = bytes of the access, a power of two.
// The slot is chosen by the L - 12 + 1 low bits of the virtual page number: one bit more than RAM has page bits, so
// that va's bit L is both part of the index and tested. An empty slot holds only that bit, complemented: then no
// address that selects the slot can hit it, not even in a page of its own number. (With one index bit fewer, every
// empty slot would have an address that aliases it.)
//
// Entries carry no privilege: there is one pair of tables (reads, writes) for each translation context, and the hart
// points at the pair of its current one. `kNoContext` is a pair that is never filled: every access takes the slow path,
// where MPRV and MXR are honoured. A large page is entered piece by piece; the regions of large pages are remembered,
// so that a flush of one of their addresses drops all the pieces. Every table logs what it filled, so a flush costs
// what was filled, not the table's size.
#pragma once

#include <memory>

#include "base/types.h"

namespace hartwood {

enum class TlbContext : u8 { user, supervisor, supervisor_sum, machine, none };

class Tlb {
 public:
  // `ram_bytes`: a power of two.
  explicit Tlb(u64 ram_bytes);

  struct Tables {
    const u64* read;
    const u64* write;
  };
  Tables tables(TlbContext context) const;

  // The page of `va` maps to the page at `ram_offset`. `region_bytes`: size of the leaf (4 KiB to 256 TiB).
  void fill(TlbContext context, u64 va, u64 ram_offset, bool write, u64 region_bytes);
  void flush_all();
  // All contexts that satp translates: everything but the machine's.
  void flush_translated();
  // Whatever a leaf that maps `va` has entered.
  void flush_address(u64 va);
  // Both tables of one context.
  void flush_context(TlbContext context);

  // Mask of the slot number, and of `va >> 9` for the byte offset of an entry.
  u32 index_mask() const { return index_mask_; }
  u64 fills() const { return fills_; }

 private:
  static constexpr unsigned kContexts = 4;  // without `none`
  static constexpr unsigned kLogSize = 4096;
  static constexpr unsigned kRegions = 16;
  struct Table {
    std::unique_ptr<u64[]> entries;
    std::unique_ptr<u32[]> log;
    u32 logged = 0;
    bool overflowed = false;
    bool ready = false;  // the entries have been made; before that nothing is in the table
  };
  struct Region {
    u64 base, bytes;
  };
  u64 empty_entry(u32 slot) const { return u64{((slot >> (ram_shift_ - 12)) & 1) ^ 1} << ram_shift_; }
  void clear(Table& table);
  // Makes a table's entries when it is first used: a context that no hart enters costs no memory and no time.
  void prepare(Table& table) const;
  Table& table(unsigned context, bool write) { return tables_[context * 2 + (write ? 1 : 0)]; }

  unsigned ram_shift_;
  u32 index_mask_;
  mutable Table tables_[kContexts * 2];
  mutable Table none_;
  Region regions_[kRegions];
  unsigned region_count_ = 0;
  bool region_overflow_ = false;
  u64 fills_ = 0;
};

}  // namespace hartwood
