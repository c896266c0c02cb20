{{/* Names */}}
{{- define "weir.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "weir.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "weir.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "weir.metricsService" -}}{{ include "weir.fullname" . }}-metrics-api{{- end -}}
{{- define "weir.apiService" -}}{{ include "weir.fullname" . }}-api{{- end -}}
{{- define "weir.webhookService" -}}{{ include "weir.fullname" . }}-webhook{{- end -}}
{{- define "weir.webhookConfiguration" -}}
{{- default (printf "%s-admission" (include "weir.fullname" .)) .Values.webhooks.name -}}
{{- end -}}

{{- define "weir.image" -}}
{{- $repository := .Values.image.repository -}}
{{- if .Values.image.registry -}}{{- $repository = printf "%s/%s" .Values.image.registry $repository -}}{{- end -}}
{{- if .Values.image.digest -}}{{ $repository }}@{{ .Values.image.digest }}
{{- else -}}{{ $repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{- end -}}
{{- end -}}

{{- define "weir.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "weir.labels" -}}
{{ include "weir.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.additionalLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* metadata of an object: (list . NAME NAMESPACE-or-"" ANNOTATIONS) */}}
{{- define "weir.metadata" -}}
{{- $root := index . 0 -}}
{{- $annotations := merge (dict) (default dict (index . 3)) $root.Values.additionalAnnotations -}}
metadata:
  name: {{ index . 1 }}
  {{- with index . 2 }}
  namespace: {{ . }}
  {{- end }}
  labels:
    {{- include "weir.labels" $root | nindent 4 }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* What is on: "true" or "" */}}
{{- define "weir.externalMetrics" -}}
{{- $on := .Values.externalMetrics.enabled -}}
{{- if not (kindIs "bool" $on) -}}
{{- $on = and (eq .Values.mode "hpa") (not .Values.watchNamespace) (not .Values.readOnly) -}}
{{- end -}}
{{- if $on -}}true{{- end -}}
{{- end -}}

{{- define "weir.webhooks" -}}
{{- $on := .Values.webhooks.enabled -}}
{{- if not (kindIs "bool" $on) -}}{{- $on = not (or .Values.watchNamespace .Values.readOnly) -}}{{- end -}}
{{- if $on -}}true{{- end -}}
{{- end -}}

{{- define "weir.api" -}}
{{- $on := .Values.api.enabled -}}
{{- if not (kindIs "bool" $on) -}}{{- $on = not (or .Values.watchNamespace .Values.readOnly) -}}{{- end -}}
{{- if $on -}}true{{- end -}}
{{- end -}}

{{- define "weir.tls" -}}
{{- if or (include "weir.externalMetrics" .) (include "weir.webhooks" .) -}}true{{- end -}}
{{- end -}}

{{/* Weir writes the caBundles: not where cert-manager does, or where they are given. */}}
{{- define "weir.writesCaBundles" -}}
{{- if and (ne .Values.certificates.source "certManager") (not .Values.certificates.caBundle) -}}true{{- end -}}
{{- end -}}

{{- define "weir.leaderElection" -}}
{{- if and .Values.leaderElection.enabled (not .Values.sharding.enabled) (not .Values.readOnly) -}}true{{- end -}}
{{- end -}}

{{/* A Weir that stands by cannot answer for metrics: the leader labels its Pod, for a Service to find it. */}}
{{- define "weir.leaderLabel" -}}
{{- if and (include "weir.externalMetrics" .) (include "weir.leaderElection" .) -}}true{{- end -}}
{{- end -}}

{{/* Where cert-manager is to put the authority. */}}
{{- define "weir.caAnnotations" -}}
{{- if eq .Values.certificates.source "certManager" -}}
cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/{{ include "weir.fullname" . }}
{{- end -}}
{{- end -}}

{{/* Combinations that would not do what they say. */}}
{{- define "weir.check" -}}
{{- $replicas := int .Values.replicaCount -}}
{{- if and .Values.readOnly (or (include "weir.externalMetrics" .) (include "weir.webhooks" .)) (eq .Values.certificates.source "own") -}}
{{- fail "readOnly: Weir may not keep a certificate of its own in a Secret then; set certificates.source to certManager or secret, or leave externalMetrics.enabled and webhooks.enabled away" -}}
{{- end -}}
{{- if and (gt $replicas 1) (not .Values.sharding.enabled) (not .Values.leaderElection.enabled) (not .Values.readOnly) -}}
{{- fail "replicaCount > 1: several Weirs need leaderElection.enabled or sharding.enabled, or they would all scale the same objects" -}}
{{- end -}}
{{- if and (gt $replicas 1) (include "weir.externalMetrics" .) .Values.sharding.enabled -}}
{{- fail "externalMetrics with sharding.enabled: a Weir that has a share cannot answer for all objects; use leaderElection.enabled with hpa mode" -}}
{{- end -}}
{{- if and (gt $replicas 1) (include "weir.externalMetrics" .) .Values.readOnly -}}
{{- fail "externalMetrics with readOnly and replicaCount > 1: nobody leads, and a Service cannot know whom to ask; use replicaCount 1" -}}
{{- end -}}
{{- if and (eq .Values.mode "hpa") (not (include "weir.externalMetrics" .)) -}}
{{- fail "mode hpa needs external metrics: set externalMetrics.enabled (it needs an APIService and ClusterRoleBindings)" -}}
{{- end -}}
{{- end -}}

{{/* [apiGroups, resources] of rbac.scaleTargets, "" for core */}}
{{- define "weir.group" -}}{{ ternary "" . (eq . "core") | quote }}{{- end -}}

{{/* The rules for what has a namespace, for a Role or a ClusterRole. */}}
{{- define "weir.rules" -}}
{{- $write := not .Values.readOnly -}}
# KEDA's objects; patch takes KEDA's finalizer away from those that are being deleted.
- apiGroups: [keda.sh]
  resources: [scaledobjects, scaledjobs, triggerauthentications]
  verbs: [get, list, watch{{ if $write }}, patch{{ end }}]
# Where events are sent, and below whether they get there.
- apiGroups: [eventing.keda.sh]
  resources: [cloudeventsources]
  verbs: [get, list, watch]
{{- if $write }}
- apiGroups: [keda.sh]
  resources: [scaledobjects/status, scaledjobs/status, triggerauthentications/status]
  verbs: [patch]
- apiGroups: [eventing.keda.sh]
  resources: [cloudeventsources/status]
  verbs: [patch]
# What they own holds them until it is gone (blockOwnerDeletion).
- apiGroups: [keda.sh]
  resources: [scaledobjects/finalizers, scaledjobs/finalizers]
  verbs: [update]
{{- end }}
# Scale targets: rbac.scaleTargets.
{{- range $group, $resources := .Values.rbac.scaleTargets }}
{{- if $resources }}
- apiGroups: [{{ include "weir.group" $group }}]
  resources: [{{ join ", " $resources }}]
  verbs: [get, list, watch]
- apiGroups: [{{ include "weir.group" $group }}]
  resources: [{{ range $i, $r := $resources }}{{ if $i }}, {{ end }}{{ $r }}/scale{{ end }}]
  verbs: [get{{ if $write }}, patch, update{{ end }}]
{{- end }}
{{- end }}
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [metrics.k8s.io]
  resources: [pods]
  verbs: [get, list]
# ScaledJobs.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch{{ if $write }}, create, delete{{ end }}]
# hpa mode; in direct mode the HPA that KEDA made is taken away, and one that somebody else made on a target is looked for, to name it.
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [get, list, watch{{ if $write }}, create, update, delete{{ end }}]
{{- if $write }}
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
{{- if include "weir.webhooks" . }}
# Admission: whether a container has requests.
- apiGroups: [""]
  resources: [limitranges]
  verbs: [list]
{{- end }}
{{- if .Values.rbac.configMaps }}
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch]
{{- end }}
{{- if .Values.rbac.allSecrets }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
{{- end }}
{{- end -}}

{{/* (list . KIND-of-binding NAME NAMESPACE ROLE-KIND ROLE-NAME): Weir's ServiceAccount gets a role. */}}
{{- define "weir.binding" -}}
{{- $root := index . 0 -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ index . 1 }}
{{ include "weir.metadata" (list $root (index . 2) (index . 3) dict) }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ index . 4 }}
  name: {{ index . 5 }}
subjects:
  - kind: ServiceAccount
    name: {{ include "weir.serviceAccountName" $root }}
    namespace: {{ $root.Release.Namespace }}
{{- end -}}
