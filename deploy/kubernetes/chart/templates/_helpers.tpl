{{- define "modelhub.name" -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- /* What pods are selected by; it cannot change in the life of a release. Takes a list: the root, and the component. */ -}}
{{- define "modelhub.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- with index . 1 }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "modelhub.labels" -}}
{{ include "modelhub.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
{{- end -}}

{{- /* Words that are empty for "no". */ -}}
{{- define "modelhub.several" -}}
{{- with .Values -}}
{{- if or (gt (int .hub.replicas) 1) .hub.autoscaling.enabled (gt (int .worker.replicas) 0) }}yes{{ end -}}
{{- end -}}
{{- end -}}

{{- define "modelhub.onOneNode" -}}
{{- if and (include "modelhub.several" .) (eq .Values.store.volume.accessMode "ReadWriteOnce") }}yes{{ end -}}
{{- end -}}

{{- /* Refuses what cannot work, with what to do. */ -}}
{{- define "modelhub.check" -}}
{{- $secrets := .Values.secrets -}}
{{- if eq .Values.database "sqlite" -}}
{{- if include "modelhub.several" . -}}
{{- fail "hub.replicas, hub.autoscaling, worker.replicas: several processes share PostgreSQL; set database to postgres" -}}
{{- end -}}
{{- if eq .Values.store.volume.accessMode "ReadWriteMany" -}}
{{- fail "store.volume.accessMode: SQLite needs a disk of one node; use ReadWriteOnce, or set database to postgres" -}}
{{- end -}}
{{- else if not (or $secrets.databaseUrl.name $secrets.databaseUrl.value) -}}
{{- fail "database is postgres: set secrets.databaseUrl.name to the Secret with its URL, or secrets.databaseUrl.value" -}}
{{- end -}}
{{- if and .Values.admin.expose (not (or $secrets.adminToken.name $secrets.adminToken.value)) -}}
{{- fail "admin.expose is true: set secrets.adminToken.name to the Secret with a token, or secrets.adminToken.value" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not .Values.admin.expose) -}}
{{- fail "serviceMonitor.enabled is true: metrics are on the admin listener; set admin.expose to true" -}}
{{- end -}}
{{- end -}}

{{- /* The Secret of the chart's own, by key: what values give and no other Secret has. */ -}}
{{- define "modelhub.ownSecret" -}}
{{- $own := dict -}}
{{- range .Values.secrets -}}
{{- if and .value (not .name) -}}
{{- $_ := set $own .key .value -}}
{{- end -}}
{{- end -}}
{{- if $own }}{{ toYaml $own }}{{ end -}}
{{- end -}}

{{- /* A secret as a variable, if there is one. Takes a list: the root, the name of the variable, and that of the secret. */ -}}
{{- define "modelhub.secret" -}}
{{- $root := index . 0 -}}
{{- with index $root.Values.secrets (index . 2) -}}
{{- if or .name .value -}}
- name: {{ index $ 1 }}
  valueFrom:
    secretKeyRef:
      name: {{ .name | default (include "modelhub.name" $root) }}
      key: {{ .key }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Of hubs and workers alike. */ -}}
{{- define "modelhub.env" -}}
- name: MODELHUB_DATA_DIR
  value: /data/store
{{- range $section, $keys := .Values.settings }}
{{- range $key, $value := $keys }}
- name: {{ printf "MODELHUB_%s_%s" $section $key | upper }}
  {{- if kindIs "slice" $value }}
  value: {{ join "," $value | quote }}
  {{- else if kindIs "float64" $value }}
  value: {{ int64 $value | quote }}
  {{- else }}
  value: {{ $value | quote }}
  {{- end }}
{{- end }}
{{- end }}
{{- if eq .Values.database "postgres" }}
{{- with include "modelhub.secret" (list . "MODELHUB_DATABASE_URL" "databaseUrl") }}{{ nindent 0 . }}{{ end }}
{{- with include "modelhub.secret" (list . "PGPASSWORD" "databasePassword") }}{{ nindent 0 . }}{{ end }}
{{- end }}
{{- with include "modelhub.secret" (list . "MODELHUB_HF_TOKEN" "hfToken") }}{{ nindent 0 . }}{{ end }}
{{- end -}}

{{- /* What is the same in all pods. Takes a list: the root, the component, and the container without what is here. */ -}}
{{- define "modelhub.pod" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $container := index . 2 -}}
{{- with $root.Values -}}
metadata:
  labels:
    {{- include "modelhub.labels" (list $root $component) | nindent 4 }}
    {{- with .pod.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- $own := include "modelhub.ownSecret" $root }}
  {{- if or $own .pod.annotations }}
  annotations:
    {{- with $own }}
    # Secrets are read at the start.
    checksum/secret: {{ sha256sum . }}
    {{- end }}
    {{- with .pod.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
spec:
  serviceAccountName: {{ .serviceAccount.name | default (include "modelhub.name" $root) }}
  automountServiceAccountToken: false
  # Kubernetes would describe a Service named modelhub in MODELHUB_ variables, which the program refuses as unknown settings.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ .pod.terminationGracePeriodSeconds }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    # The volume is this group's, so that the program can make its data directory there.
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  {{- with .image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .pod.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .pod.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .pod.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $affinity := .pod.affinity }}
  {{- if include "modelhub.onOneNode" $root }}
  {{- /* The first pod meets its own term, as the scheduler lets a pod do that matches it; the others follow. */ -}}
  {{- $release := dict "matchLabels" (include "modelhub.selector" (list $root "") | fromYaml) }}
  {{- $together := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" $release }}
  {{- $required := "requiredDuringSchedulingIgnoredDuringExecution" }}
  {{- $terms := append (dig "podAffinity" $required (list) $affinity) $together }}
  {{- $affinity = mustMergeOverwrite (deepCopy $affinity) (dict "podAffinity" (dict $required $terms)) }}
  {{- else if .pod.spread }}
  topologySpreadConstraints:
    - maxSkew: 1
      topologyKey: {{ .pod.spread }}
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "modelhub.selector" (list $root $component) | nindent 10 }}
  {{- end }}
  {{- with $affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: modelhub
      {{- $tag := .image.tag | default $root.Chart.AppVersion }}
      image: {{ .image.repository }}{{ if .image.digest }}@{{ .image.digest }}{{ else }}:{{ $tag }}{{ end }}
      imagePullPolicy: {{ .image.pullPolicy }}
      {{- $container | nindent 6 }}
      # While a pod ends, clients are still sent to it for a moment.
      lifecycle:
        preStop:
          sleep:
            seconds: 5
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop: [ALL]
      volumeMounts:
        - name: data
          mountPath: /data
        {{- with .pod.volumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: data
      persistentVolumeClaim:
        claimName: {{ .store.volume.existingClaim | default (include "modelhub.name" $root) }}
    {{- with .pod.volumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end -}}
{{- end -}}
