"""The planted bugs: where, by which operator, and the scenarios that should notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plant:
    """``was``, ``becomes``: parts of the first line that the bug changes, before and after.

    ``scenarios`` of the simulation, and ``tests`` as pytest names them, are to notice it.
    """

    module: str
    function: str
    operator: str
    was: str
    becomes: str
    scenarios: tuple[str, ...]
    tests: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.module}.{self.function} {self.operator}: {self.was!r} {self.becomes!r}"


PLAIN = ("succeeds",)
RETRIES = ("fails_once", "fails_too_often")
HEADS = ("head_fails_while_running", "head_lost_while_submitting", "heads_lost_too_often")
HANGS = ("head_hangs",)
SUSPENDS = ("suspended_while_training", "suspended_while_provisioning", "suspended_while_submitting")
DEAF = ("suspended_but_deaf", "deadline_of_a_deaf_driver")
DELETES = ("ttl", "recreated_under_the_same_name")
SIZES = ("more_replicas", "fewer_replicas", "stop_moved")
CLUSTERS = ("cluster_deleted_while_running", "cluster_deleted_while_starting", "preempted_by_its_queue")
DRIFTS = ("drift_holds_what_is_new",)
STOPS = ("resumed_after_a_stop",)
BAD = ("bad_configuration", "service_account_not_labelled", "overrides_refused")
LOST_CLUSTERS = ("succeeds_with_learners",)
KUBERAY_AWAY = ("head_fails_while_kuberay_is_away",)
CONTACT = ("tests/rl_operator/test_contact.py::test_what_is_not_ordered_is_not_submitted",)
OBSERVING = ("tests/rl_operator/test_observing.py",)
STALE = ("tests/rl_operator/test_reconcile.py",)
DECIDING = tuple(f"tests/rl_operator/test_{it}.py" for it in ("decide", "pressure", "scaling"))
STARTING = ("tests/rl_operator/test_attempts.py",)
UNASKED = ("drains_unasked_again_and_again",)
STEERED = (
    "tests/rl_operator/test_contact.py::test_a_driver_is_started_told_what_changed_drained_heard_and_let_go",
)
SPEAKS = (
    "tests/rl_operator/test_contact.py::"
    "test_a_driver_that_speaks_for_itself_is_asked_alone_and_ray_now_and_then",
)
DIES = (
    "tests/rl_operator/test_contact.py::"
    "test_ray_is_asked_in_the_same_look_where_a_driver_that_spoke_is_silent",
)
SILENT = ("tests/rl_operator/test_contact.py::test_an_unreachable_head_is_dated_from_the_first_silence",)

PLANTS: tuple[Plant, ...] = (
    # decide
    Plant("decide", "decide", "never", "if is_decided(status):", "", PLAIN),
    Plant("decide", "decide", "never", "DriverState.SUBMITTED:", "", PLAIN),
    Plant("decide", "decide", "never", "if decided is not None:", "", RETRIES),
    Plant("decide", "decide", "never", "if spec.run_policy.suspend:", "", SUSPENDS),
    Plant("decide", "decide", "never", "DriverState.ENDED:", "", PLAIN),
    Plant("decide", "decide", "drop-term", "DriverState.ENDED:", "driver is None or False", RETRIES),
    Plant("decide", "is_decided", "drop-term", "it.status != 'Unknown'", "SUCCEEDED and True", PLAIN),
    Plant("decide", "begin", "other-number", "attempt = status.attempt + 1", "+ 2", RETRIES),
    Plant("decide", "begin", "never", "if lost and last is not None", "", HANGS),
    Plant("decide", "begin", "drop-keyword", "writes=delete_cluster(seen)", "Decision(status, look", HANGS),
    Plant(
        "decide",
        "provision",
        "drop-term",
        "if seen.kuberay_missing or",
        "missing or False",
        CLUSTERS,
        STARTING,
    ),
    Plant("decide", "provision", "never", "if seen.cluster is None:", "", PLAIN),
    Plant(
        "decide",
        "provision",
        "drop-term",
        "head.ready and head.ip",
        "head is not None and head.ip",
        PLAIN,
        DECIDING,
    ),
    Plant("decide", "provision", "drop-term", "early <= 0", "head.ready and head.ip:", RETRIES, DECIDING),
    Plant("decide", "provision", "never", "provisioning_deadline_seconds and", "", ("quota_never_enough",)),
    Plant("decide", "_make_cluster", "never", "if fault:", "", BAD),
    Plant("decide", "suspend", "never", "if seen.cluster is not None or seen.pods", "", SUSPENDS),
    Plant(
        "decide", "suspend", "drop-term", "seen.cluster is not None or seen.pods", "None or False", SUSPENDS
    ),
    Plant("decide", "suspend", "never", "driver.state is DriverState.WAITING", "", ("suspended_for_long",)),
    Plant(
        "decide", "_lives", "drop-term", "return pod is not None and pod.alive", "pod.alive and True", HANGS
    ),
    # attending
    Plant("attending", "attend", "never", "if over is not None:", "", PLAIN),
    Plant("attending", "attend", "drop-keyword", "return end(", "", DEAF),
    Plant("attending", "attend", "never", "if running and driver.start_time is None", "", HEADS + DEAF),
    Plant(
        "attending", "attend", "drop-term", "running and driver.start_time is None", "if running and", DEAF
    ),
    Plant("attending", "attend", "always", "sizes = Resizing() if press else", "", SIZES),
    Plant("attending", "attend", "never", "if word is not None:", "", PLAIN, DECIDING),
    Plant("attending", "end", "drop-keyword", "ended = driver.model_copy", "", PLAIN),
    Plant("attending", "end", "always", "update = {", "", DEAF),
    Plant("attending", "_of_this_attempt", "never", "", "", HEADS, DECIDING),
    Plant("attending", "_over", "never", "if seen.attempt_head_gone:", "", HEADS),
    Plant("attending", "_over", "never", "if press is Pressure.TAKE_AWAY:", "", DEAF),
    Plant("attending", "_over", "never", "sighting.unreachable_seconds >", "", HANGS),
    Plant("attending", "_is_unasked", "drop-term", "return stays and", "return press is", (), DECIDING),
    Plant(
        "attending",
        "_is_unasked",
        "drop-term",
        "press is Pressure.NONE and",
        "stays and asked_before",
        (),
        DECIDING,
    ),
    Plant(
        "attending",
        "_is_unasked",
        "drop-term",
        "asked_before(driver)",
        "return stays and press is Pressure.NONE",
        (),
        DECIDING,
    ),
    Plant("attending", "_is_unasked", "drop-term", "not head.terminating", "and head.alive", (), DECIDING),
    Plant("attending", "_order", "swap-comparison", "drain=announced >=", "drain=announced <", PLAIN),
    # Not "_order", "never", "if pod is None:": an attempt whose head is not seen has ended before it comes to
    # an order, since observing asks the server for it.
    Plant("attending", "_order", "swap-comparison", "press is Pressure.NONE", "is not Pressure.NONE", PLAIN),
    # retry
    Plant("retry", "count", "never", "DriverOutcome.APPLICATION_FAILURE:", "", RETRIES),
    Plant("retry", "count", "never", "DriverOutcome.LOST or", "", HEADS),
    Plant("retry", "count", "drop-term", "DriverOutcome.LOST or", "LOST or False", UNASKED),
    Plant("retry", "count", "other-number", "failures.application + 1", "", RETRIES),
    Plant("retry", "verdict", "never", "outcome is DriverOutcome.DONE:", "", PLAIN),
    Plant("retry", "verdict", "never", "DriverOutcome.BAD_CONFIGURATION:", "", BAD),
    Plant("retry", "verdict", "swap-comparison", "failures.application > policy", "", RETRIES),
    Plant("retry", "verdict", "never", "failures.infrastructure > policy", "", HEADS),
    Plant("retry", "verdict", "never", "overdue_seconds(policy, status, now) >= 0", "", ("deadline",)),
    Plant("retry", "ending", "never", "drained(sighting) and unasked", "", UNASKED),
    Plant("retry", "ending", "never", "drained(sighting) or", "", SUSPENDS),
    Plant("retry", "ending", "never", "code == ExitCode.BAD_CONFIGURATION:", "", BAD),
    Plant("retry", "ending", "never", "sighting.state is JobState.SUCCEEDED:", "", PLAIN),
    Plant(
        "retry", "head_lost", "never", "progress.state is ProgressState.DRAINED", "", ("head_evicted_gently",)
    ),
    Plant("retry", "last_word", "never", "progress.stop_reason is not None", "", PLAIN),
    Plant("retry", "noted_word", "always", "if training is None", "", PLAIN, DECIDING),
    # cleanup
    Plant("cleanup", "conclude", "never", "if seen.cluster is not None:", "", PLAIN + RETRIES),
    Plant(
        "cleanup", "conclude", "drop-keyword", "writes=delete_cluster(seen)", "Decision(status, look", PLAIN
    ),
    Plant("cleanup", "delete_cluster", "always", "if cluster is None", "", PLAIN),
    Plant("cleanup", "after_the_end", "never", "if left > 0 or writes:", "", DELETES),
    Plant("cleanup", "after_the_end", "always", "if keep is None or", "", DELETES),
    # acting
    Plant("acting", "_perform", "skip-statement", "_create(api, caches, job, write)", "pass", PLAIN),
    Plant("acting", "_perform", "skip-statement", "_delete(", "pass", PLAIN),
    Plant("acting", "_delete", "never", "if not found and", "", LOST_CLUSTERS),
    Plant("acting", "_perform", "skip-statement", "_patch(", "pass", SIZES),
    # observing
    Plant("observing", "observe", "never", "if pod is None or unasked:", "", (), OBSERVING),
    Plant("observing", "observe", "drop-term", "if pod is None or unasked", "None or False", (), OBSERVING),
    Plant(
        "observing",
        "observe",
        "drop-term",
        "head_gone = pod is None or",
        "pod is None or False",
        KUBERAY_AWAY,
    ),
    Plant("observing", "_cached_pods", "swap-comparison", "it.job_uid == job.uid", "", PLAIN),
    # resizing
    Plant("resizing", "resize", "always", "if not changed:", "", SIZES),
    Plant("resizing", "resize", "swap-comparison", "group.get('groupName') != ROLLOUTS", "", SIZES),
    # reconcile
    Plant("reconcile", "reconcile", "never", "_is_ours(job)", "", ("managed_by_somebody_else",)),
    Plant("reconcile", "_write_status", "never", "if new == job.status:", "", PLAIN),
    Plant(
        "reconcile", "_write_status", "drop-entry", "'metadata': {'resourceVersion'", "'metadata': {},", HEADS
    ),
    Plant("reconcile", "reconcile", "never", "decision.makes_cluster and", "", (), STALE),
    Plant("reconcile", "_write_status", "never", "still_there(job)", "", (), STALE),
    Plant("reconcile", "_write_status", "never", "jobs.get(*job.key)", "", DEAF, STALE),
    Plant("reconcile", "_write_status", "skip-statement", "jobs.forget", "pass", (), STALE),
    # contact
    Plant(
        "contact", "_by_ray", "drop-term", "found is None and self.order.submit", "None and True", (), CONTACT
    ),
    Plant("contact", "_spoken_to", "skip-statement", "driver.drain()", "pass", (), STEERED),
    Plant(
        "contact", "_speaks_for_itself", "drop-term", "return lately and runs", "return runs and", (), SPEAKS
    ),
    Plant("contact", "take", "never", "return self._by_ray(spoken) if", "", (), DIES),
    Plant("contact", "_unreachable", "never", "self.before.unreachable_since is None", "", (), SILENT),
    Plant("contact", "_unreachable", "drop-keyword", "unreachable_seconds=", "", (), SILENT),
    Plant("contact", "_spoken_to", "skip-statement", "driver.put_desired(", "pass", ("stop_moved",)),
    # suspend
    Plant("suspend", "pressure", "never", "if not wanted:", "", PLAIN),
    Plant("suspend", "pressure", "swap-comparison", "since >= drain_grace_seconds", "<", DEAF, DECIDING),
    Plant("suspend", "pressure", "swap-comparison", "since >= stop_grace_seconds", "<", DEAF, DECIDING),
    Plant("suspend", "pressure", "never", "asked is Pressure.NONE", "", SUSPENDS),
    Plant("suspend", "asked_before", "swap-comparison", "asked is driver.asked", "", SUSPENDS, DECIDING),
    Plant("suspend", "noted", "never", "if press is Pressure.NONE:", "", SUSPENDS, DECIDING),
    Plant("suspend", "noted", "drop-keyword", "'asked_time': None", "", STOPS, DECIDING),
    Plant("suspend", "noted", "drop-term", "press is asked and", "is not None and True", SUSPENDS, DECIDING),
    Plant("suspend", "noted", "drop-term", "press is asked and", "asked and True", (), DECIDING),
    Plant("suspend", "noted", "drop-entry", "'asked_time'", "'asked': ASKED[press]})", DEAF),
    Plant("retry", "ran_seconds", "always", "if driver.asked_time else", "", PLAIN),
    Plant("retry", "ran_seconds", "never", "if driver.asked_time else", "", (), DECIDING),
    # drift
    # Not "drifted", "never", "observed_generation ==": it saves a digest a pass, and comes to the same.
    Plant("drift", "drifted", "swap-comparison", "not in (None", "digest in (None", PLAIN),
    Plant("resizing", "resize", "drop-term", "or drifted(job)", "is not None:", DRIFTS, DECIDING),
    Plant("decide", "provision", "drop-term", "and drifted", "None and True", DRIFTS),
)
