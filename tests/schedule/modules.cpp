// SPDX-License-Identifier: Apache-2.0
// Compiled modules in the hands of several harts. Natively nothing that is compiled can be executed, so harts are
// models here, with a jump cache, epochs and a function table of their own, as jit/hart_code.h has them; the registry,
// the compiler and the fences between the harts are the real ones.
//
// Each page of code is one function that returns a constant: the page's number and its round. A page's owner changes
// the constant, fences everybody and only then announces the round. Whoever calls a function that was announced gets
// that round or a later one, of that page.
#include <algorithm>
#include <deque>
#include <map>

#include "base/bits.h"
#include "jit/compiler.h"
#include "schedule/scenarios.h"
#include "shm/attention.h"

namespace hartwood::test {
namespace {

constexpr u32 kFirstSlot = 1000, kMostPages = 6, kFirstPage = 20, kLastRound = 255;

u32 value_of(u32 page, u32 round) { return page << 8 | round; }

class ModuleStage {
 public:
  ModuleStage(u64 seed, const SchedulerOptions& options)
      : random_(seed ^ 0x30d0'1e5), scheduler_(seed, limited(options)) {
    harts_count_ = 2 + random_.below(3);
    pages_ = 2 + random_.below(kMostPages - 1);
    steps_ = 50 + random_.below(150);
    budget_ = random_.one_in(3) ? 0 : 1 + random_.below(3000);
    rewrite_one_in_ = 4u << random_.below(4);
    registry_ = std::make_unique<jit::Registry>(*memory_, harts_count_, kFirstSlot, shared_->compiler);
    if (budget_ != 0) registry_->set_budget(budget_);
    jit::Target target;
    target.ram_bytes = memory_->size();
    compiler_ = std::make_unique<jit::Compiler>(*registry_, *memory_, IsaOptions{}, target);
    shared_->hart_count.store(harts_count_);
    for (u32 page = 0; page < pages_; page++) {
      write_code(page, 0);
      HW_CHECK(memory_->store(Pa(code_at(page) + 4), encode_i(Op::jalr, zero, ra, 0)), "room");
    }
    for (u32 i = 0; i < kMaxInitiators; i++) shared_->harts[i].park.store(kParked);
    for (u32 i = 0; i < harts_count_; i++) harts_.push_back(std::make_unique<HartModel>(*this, i));
    for (u32 i = 0; i < harts_count_; i++)
      scheduler_.add([this, i] {
        harts_[i]->live();
        finished_++;
      });
    scheduler_.add([this] { compile(); }, true);
  }

  Outcome run() {
    const SeededScheduler::End end = scheduler_.run_fibers();
    Outcome outcome;
    outcome.about = format("%u harts, %u functions, %u steps, budget %u, rewrites 1/%u", harts_count_, pages_, steps_,
                           budget_, rewrite_one_in_);
    if (!problem_.empty())
      outcome.failure = problem_;
    else if (end != SeededScheduler::End::finished)
      outcome.failure = end == SeededScheduler::End::asleep ? "everybody sleeps" : "no end";
    outcome.fingerprint = {seen_, compiled_calls_, calls_};
    return outcome;
  }

 private:
  struct Mail {
    u32 module;
    bool drop;
  };

  class HartModel final : public FenceTarget {
   public:
    HartModel(ModuleStage& stage, u32 id) : stage_(stage), id_(id) {}

    void flush(const FenceRequest& request) override {
      if (request.kinds & kFenceCode) flush_everything();
    }
    void flush_everything() override {
      epoch_++;
      cache_.clear();
    }

    void live() {
      AttentionProtocol& attention = stage_.attention_;
      attention.unpark(id_, *this);
      for (u32 step = 0; step < stage_.steps_ && stage_.problem_.empty(); step++) {
        const u32 seen = stage_.shared_->harts[id_].attention.load();
        if (seen & kAttentionFlush) attention.serve_fences(id_, *this);
        if (seen & kAttentionAck) attention.take(id_, kAttentionAck);
        if (seen & kAttentionMail) read_mail();
        const u32 page = stage_.random_.below(stage_.pages_);
        if (page % stage_.harts_count_ == id_ && stage_.random_.one_in(stage_.rewrite_one_in_))
          rewrite(page);
        else
          call(page);
      }
      // As on return to its caller: parked, with nothing left unserved.
      for (;;) {
        attention.park(id_);
        if (!(stage_.shared_->harts[id_].attention.load() & kAttentionFlush)) break;
        attention.unpark(id_, *this);
        attention.serve_fences(id_, *this);
      }
    }

    std::deque<Mail> mail;

   private:
    void read_mail() {
      stage_.attention_.take(id_, kAttentionMail);
      while (!mail.empty()) {
        const Mail letter = mail.front();
        mail.pop_front();
        if (letter.drop) {
          u32 slot, count;
          stage_.registry_->slots_of(letter.module, slot, count);
          std::erase_if(cache_, [&](const auto& known) { return known.second.slot - slot < count; });
          for (u32 i = 0; i < count; i++) table_.erase(slot + i);
          stage_.registry_->dropped(id_, letter.module);
        } else if (const jit::CompiledModule* module = stage_.registry_->installed(id_, letter.module)) {
          table_[module->slot] = load_le<u32>(module->source.data()) >> 20;
          for (const jit::CompiledModule::Entry& entry : module->entries) {
            if (entry.offset >> kPageShift != jit::kWindowBefore) stage_.problem_ = "an entry in another page";
          }
        }
      }
    }

    void rewrite(u32 page) {
      const u32 round = stage_.written_[page] + 1;
      if (round > kLastRound) return;
      stage_.written_[page] = round;
      schedule_point();
      stage_.write_code(page, round);
      FenceRequest request;
      request.kinds = kFenceCode;
      flush(request);
      const u64 start = ++stage_.time_;
      stage_.attention_.remote_fence(id_, (u64{1} << stage_.harts_count_) - 1, request, this);
      for (const auto& other : stage_.harts_) {
        // Both at one moment: no point of the scheduler between them.
        if (other->keeps_older_than(start) && stage_.shared_->harts[other->id_].park.hint() != kParkedMustFlush)
          stage_.problem_ = format("a fence of hart %u has returned before hart %u had flushed", id_, other->id_);
      }
      stage_.announced_[page].store(round);
    }
    bool keeps_older_than(u64 time) const {
      return std::ranges::any_of(cache_, [time](const auto& known) { return known.second.entered < time; });
    }

    void call(u32 page) {
      const u32 least = value_of(page, stage_.announced_[page].load());
      const u32 got = execute(page);
      const u32 most = value_of(page, stage_.written_[page]);
      stage_.calls_++;
      stage_.seen_ = (stage_.seen_ ^ got) * 0x100'0000'01b3 + id_;
      if (got < least || got > most)
        stage_.problem_ = format("hart %u called function %u in round %u and got round %u of function %u", id_, page,
                                 least & 255, got & 255, got >> 8);
    }

    u32 execute(u32 page) {
      u32 slot = 0;
      if (const auto known = cache_.find(page); known != cache_.end()) {
        slot = known->second.slot;
      } else {
        const u64 now = ++stage_.time_;  // what is found is checked after this
        slot = find(page);
        if (slot != 0) cache_[page] = {slot, now};
      }
      if (slot == 0) return interpret(page);
      stage_.compiled_calls_++;
      const auto function = table_.find(slot);
      if (function == table_.end()) {
        stage_.problem_ = "a call of an empty slot";
        return ~u32{0};
      }
      return function->second;
    }
    u32 find(u32 page) {
      u32 entry = 0;
      jit::CompiledModule* module = stage_.registry_->find(
          id_, kFirstPage + page, 0, [](i32) { return jit::kNoPage; }, entry);
      if (module == nullptr) return 0;
      if (checked_[module->id] != epoch_) {
        if (!stage_.registry_->check_source(*module)) return 0;
        checked_[module->id] = epoch_;
      }
      return module->slot;
    }
    u32 interpret(u32 page) {
      jit::Request request;
      request.entry = jit::kWindowBefore * static_cast<u32>(kPageBytes);
      request.pages.fill(jit::kNoPage);
      request.pages[jit::kWindowBefore] = kFirstPage + page;
      stage_.registry_->request(std::move(request));
      u32 word = 0;
      HW_CHECK(stage_.memory_->load(Pa(stage_.code_at(page)), word), "address");
      return word >> 20;
    }

    ModuleStage& stage_;
    u32 id_;
    u32 epoch_ = 1;
    struct Known {
      u32 slot;
      u64 entered;
    };
    std::map<u32, Known> cache_;  // by function; of this epoch
    std::map<u32, u32> table_;    // slot -> what is there returns
    std::map<u32, u32> checked_;  // module -> epoch
  };

  static SchedulerOptions limited(SchedulerOptions options) {
    options.max_points = 5'000'000;
    return options;
  }
  u64 code_at(u32 page) const { return kRamBase + (kFirstPage + page) * kPageBytes; }
  void write_code(u32 page, u32 round) {
    HW_CHECK(memory_->store(Pa(code_at(page)), encode_i(Op::addi, a0, zero, 0) | value_of(page, round) << 20), "room");
  }
  void send(const Mail& letter) {
    for (u32 i = 0; i < harts_count_; i++) {
      harts_[i]->mail.push_back(letter);
      attention_.post(i, kAttentionMail);
    }
  }
  void compile() {
    Atomic<u32>& work = registry_->work();
    while (finished_ != harts_count_) {
      const u32 seen = work.load();
      bool busy = false;
      if (const u32 id = compiler_->compile_next(); id != 0) {
        send({id, false});
        busy = true;
      }
      if (const u32 id = registry_->next_to_drop(); id != 0) {
        send({id, true});
        busy = true;
      }
      // What may be dropped depends on what harts have installed, of which nobody tells.
      constexpr i64 kNap = 2000;
      if (!busy) work.wait(seen, kNap);
    }
  }

  SeededRandom random_;
  SeededScheduler scheduler_;
  u32 harts_count_, pages_, steps_, budget_, rewrite_one_in_;
  std::unique_ptr<GuestMemory> memory_ = std::move(GuestMemory::create(kMinRamBytes).value());
  std::unique_ptr<MachineShared> shared_ = std::make_unique<MachineShared>();
  AttentionProtocol attention_{*shared_};
  std::unique_ptr<jit::Registry> registry_;
  std::unique_ptr<jit::Compiler> compiler_;
  std::vector<std::unique_ptr<HartModel>> harts_;
  u32 written_[kMostPages] = {};
  Atomic<u32> announced_[kMostPages];
  u32 finished_ = 0;
  std::string problem_;
  u64 time_ = 0;
  u64 seen_ = 0, calls_ = 0, compiled_calls_ = 0;
};

}  // namespace

Outcome run_modules(u64 seed, const SchedulerOptions& options, bool) { return ModuleStage(seed, options).run(); }

}  // namespace hartwood::test
