"""Labels, roles and ports of what belongs to a job; what the command line needs too is in the spec."""

from __future__ import annotations

from rl_platform.spec.child_names import CLUSTER_NAME_LENGTH as CLUSTER_NAME_LENGTH
from rl_platform.spec.child_names import DASHBOARD_PORT as DASHBOARD_PORT
from rl_platform.spec.child_names import JOB_LABEL as JOB_LABEL
from rl_platform.spec.child_names import TOKEN_KEY as TOKEN_KEY
from rl_platform.spec.child_names import child_name as child_name
from rl_platform.spec.child_names import log_key as log_key
from rl_platform.spec.child_names import logs_name as logs_name
from rl_platform.spec.child_names import submission_id as submission_id

JOB_UID_LABEL = "rlplatform.io/job-uid"  # a name may be used again
ROLE_LABEL = "rlplatform.io/role"  # head, learner or rollouts
TRAINING_LABEL = "rlplatform.io/training"  # a ServiceAccount that jobs may use
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "rl-platform"
SPEC_DIGEST_ANNOTATION = "rlplatform.io/spec-digest"
BUILDER_ANNOTATION = "rlplatform.io/builder"
OPERATOR = "rlplatform.io/operator"  # spec.runPolicy.managedBy of the jobs that are ours

HEAD, LEARNER, ROLLOUTS = "head", "learner", "rollouts"
RAY_CLUSTER_LABEL = "ray.io/cluster"
JOB_FILE = "job.json"
GCS_PORT, CLIENT_PORT = 6379, 10001
RAY_METRICS_PORT = 8080
DRIVER_PORT = 8470
