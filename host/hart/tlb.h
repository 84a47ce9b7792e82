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
// empty slot would have an address that aliases it.) In the upper half of a table that is zero: what nobody has entered
// there takes no memory.
//
// Entries carry no privilege: there is one pair of tables (reads, writes) for each translation context, and the hart
// points at the pair of its current one. `kNoContext` is a pair that is never filled: every access takes the slow path,
// where MPRV and MXR are honoured. Nor do they carry satp: the contexts in which user pages can be reached exist once
// for each of a few values of satp that were current lately (spaces), and coming back to one of these finds its entries
// again. The supervisor's own context is shared by all spaces, as its pages usually are global; as soon as one is not,
// a change of satp empties it.
//
// What two contexts reach alike is entered into both: the supervisor's pages with and without SUM, the user's pages for
// the user and for the supervisor with SUM. A page that may be written may be read.
//
// A large page is entered piece by piece; the regions of large pages are remembered, so that a flush of one of their
// addresses drops all the pieces. Every table logs what it filled, so a flush costs what was filled, not the table's
// size.
#pragma once

#include <memory>

#include "base/types.h"
#include "memory/zero_pages.h"

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
  // Of the current space. A context that no hart enters costs no memory and no time.
  Tables tables(TlbContext context) const;

  // satp is `satp` from now on; `satp` 0: addresses are physical. Returns the number of its space, which is below
  // kMaxSpaces; `fresh`: it had another satp's until now, and nothing is known of it.
  u32 use_space(u64 satp, bool& fresh);

  // A leaf of the current space, or with satp 0 no leaf.
  struct Page {
    u64 va;
    u64 ram_offset;
    u64 region_bytes;   // size of the leaf (4 KiB to 256 TiB)
    bool user;          // the leaf's U
    bool global;        // the same in all spaces
    bool loads = true;  // may be entered for loads
  };
  void fill(TlbContext context, const Page& page, bool write);
  void flush_all();
  // All contexts that satp translates: everything but the machine's.
  void flush_translated();
  // Whatever a leaf that maps `va` has entered.
  void flush_address(u64 va);
  // What is not global, of the spaces that have this ASID.
  void flush_asid(u64 asid);
  // Both tables of one context of the current space.
  void flush_context(TlbContext context);

  // Mask of the slot number, and of `va >> 9` for the byte offset of an entry.
  u32 index_mask() const { return index_mask_; }
  u64 fills() const { return fills_; }
  u32 spaces() const { return space_count_; }

  static constexpr u32 kMaxSpaces = 4;

 private:
  static constexpr unsigned kLogSize = 4096;
  static constexpr unsigned kRegions = 8;
  // Tables of one hart take no more than this, if one space allows it.
  static constexpr u64 kMostBytes = u64{48} << 20;
  struct Table {
    ZeroPages entries;  // null: never used
    std::unique_ptr<u32[]> log;
    u32 logged = 0;
    bool overflowed = false;
  };
  struct Pair {
    Table read, write;
  };
  struct Space {
    u64 satp = 0;
    u64 last_use = 0;
    Pair user, supervisor_sum;
  };
  struct Region {
    u64 first, last;  // bytes
  };
  u64 empty_entry(u32 slot) const { return u64{((slot >> (ram_shift_ - 12)) & 1) ^ 1} << ram_shift_; }
  void clear(Table& table);
  void clear(Pair& pair);
  void forget(Table& table, u32 slot);
  void forget(Pair& pair, u32 slot);
  void prepare(Table& table) const;
  Pair& pair(TlbContext context) const;
  void enter(Table& table, u32 slot, u64 entry);
  void note_region(u64 va, u64 bytes);

  unsigned ram_shift_;
  u32 index_mask_;
  u32 space_count_;
  // Tables are made by whoever looks at them first.
  mutable Space spaces_[kMaxSpaces];
  u32 space_ = 0;
  u64 uses_ = 0;
  mutable Pair supervisor_, machine_, none_;
  bool supervisor_local_ = false;  // supervisor_ holds what is not global
  // Coarser than the leaves where there are many.
  Region regions_[kRegions];
  unsigned region_count_ = 0;
  u64 fills_ = 0;
};

}  // namespace hartwood
