"""Paths, headers and environment variables of the driver protocol: names alone.

Apart from the documents, so that a pod's hook starts at once, without pydantic.
"""

METRICS_PATH = "/metrics"
PROGRESS_PATH = "/progress"
DESIRED_PATH = "/desired"
DRAIN_PATH = "/drain"
ACK_QUERY = "ack"
TOKEN_HEADER = "X-RLP-Authorization"

JOB_FILE_ENV = "RLP_JOB_FILE"  # the TrainingJob, as YAML or JSON
TOKEN_FILE_ENV = "RLP_TOKEN_FILE"
ATTEMPT_ENV = "RLP_ATTEMPT"
JOB_UID_ENV = "RLP_JOB_UID"
PORT_ENV = "RLP_PORT"
HOST_ENV = "RLP_HOST"
DESIRED_ENV = "RLP_DESIRED"  # a `Desired` document: what has changed since the job's file was written
HEAD_UID_ENV = "RLP_HEAD_UID"  # of the pod that the driver was sent to
POD_UID_ENV = "RLP_POD_UID"  # of the pod that it runs in
IMAGE_ENV = "RLP_IMAGE"  # that it runs in, with its digest, as the node knows it
OUTPUT_ENV = "RLP_OUTPUT"  # the run's folder
SPEC_DIGEST_ENV = "RLP_SPEC_DIGEST"  # of the spec that the cluster was made for
