{{/* Names, labels and references that several objects share. */}}

{{- define "rl-platform.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* 40 characters leave room for suffixes within the 63 of a label or a Service. */}}
{{- define "rl-platform.fullname" -}}
{{- $name := include "rl-platform.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* (list ROOT COMPONENT) */}}
{{- define "rl-platform.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "rl-platform.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* (list ROOT COMPONENT) */}}
{{- define "rl-platform.labels" -}}
{{- $root := index . 0 -}}
{{ include "rl-platform.selector" . }}
app.kubernetes.io/part-of: rl-platform
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* (list ROOT IMAGE) */}}
{{- define "rl-platform.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with $image.registry | default $root.Values.global.imageRegistry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default $root.Chart.AppVersion }}{{ end -}}
{{- end }}

{{- define "rl-platform.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "rl-platform.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "rl-platform.fullname" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "rl-platform.tokenSecret" -}}
{{ .Values.tokenKey.existingSecret | default (printf "%s-token-key" (include "rl-platform.fullname" .)) }}
{{- end }}

{{- define "rl-platform.mlflow" -}}
{{ include "rl-platform.fullname" . }}-mlflow
{{- end }}

{{/* Numbers come as floats: whole ones must not be written as 1e+06. */}}
{{- define "rl-platform.number" -}}
{{- if and (kindIs "float64" .) (eq . (float64 (int64 .))) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}
