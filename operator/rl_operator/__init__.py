"""The operator: a TrainingJob becomes a running, recoverable training on KubeRay. Start at `reconcile`.

One pass of it, and which modules each step is made of:

- observe: observing gathers what is observed, from caches that watching fills; status_reading, job_facts
- decide: decide names the states; attending, retry, suspend, resizing, drift and cleanup have the rest, and
  what they come to is a decision
- children: desired, of pod_template, pod_volumes, pod_overrides, quantities, names
- act: acting, then one write of the status (status, times), of which telling makes events

Beside the passes, polling looks at drivers: contact is one look (driver_contact in and out, hiding), by
jobs_api and driver_http over reach. The process around all is __main__, settings, process, logs, health,
rbac, and what it measures metrics, live_metrics, job_series.
"""
