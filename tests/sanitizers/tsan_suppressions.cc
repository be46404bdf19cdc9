// What ThreadSanitizer cannot judge, since it lies within libraries that Debian does not
// instrument, with the reason for each line. A line here hides every race that has such a function
// on its stack, so it names as little as possible.

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)

extern "C" const char* __tsan_default_suppressions() {
  return
      // Abseil's deadlock detector keeps its graph under a lock of its own, which is not seen.
      "race:absl::*::synchronization_internal::GraphCycles::*\n"
      // The last reference to a status's message or a cord's tree is dropped, and the memory freed,
      // inside Abseil; the counter that orders it after the other threads' reading is not seen.
      "race:absl::*::Status::UnrefNonInlined\n"
      // (The same where it jumped to free() as its last step: only its inlined caller is left, by
      // its short name. Nothing of ours is called so.)
      "race:^Unref$\n"
      "race:absl::*::Status::EqualsSlow\n"
      "race:absl::*::Storage<absl::*::status_internal::Payload*::DestroyContents\n"
      "race:absl::*::Cord::CopyToArraySlowPath\n"
      "race:absl::*::cord_internal::CordRep::Destroy\n"
      // Protobuf fills a file's descriptors when they are first asked for, once, in a pool with a
      // lock that it made the same way; what orders that after its making is not seen.
      "race:google::protobuf::internal::AssignDescriptors\n";
}

#endif
#endif
