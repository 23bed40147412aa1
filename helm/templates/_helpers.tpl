{{/* Names, labels and the parts that more than one manifest has. */}}

{{- define "gateway.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The release's name, with the chart's where it is not in it. 50 characters: suffixes such as -migrate follow. */}}
{{- define "gateway.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- end }}

{{/* What selects the pods of a component. A Deployment's selector can't be changed: nothing is ever added here. */}}
{{- define "gateway.selector" -}}
app.kubernetes.io/name: {{ include "gateway.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Pods do not have the chart's version: a chart that changes nothing of theirs shall not roll them. */}}
{{- define "gateway.podLabels" -}}
{{ include "gateway.selector" . }}
app.kubernetes.io/version: {{ default .root.Chart.AppVersion .root.Values.image.tag | quote }}
app.kubernetes.io/part-of: blue-faas
{{- end }}
{{- define "gateway.labels" -}}
{{ include "gateway.podLabels" . }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "gateway.image" -}}
{{- $tag := default .Chart.AppVersion .Values.image.tag }}
{{- printf "%s:%s" .Values.image.repository $tag }}{{ with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}

{{- define "gateway.serviceAccount" -}}
{{- default (include "gateway.fullname" .) .Values.serviceAccount.name }}
{{- end }}

{{/* Seconds, as whole numbers: what a stopping pod may take, and DRAIN_TIMEOUT_S as the server rounds it. */}}
{{- define "gateway.drainSeconds" -}}
{{- $set := .Values.settings.DRAIN_TIMEOUT_S }}
{{- ternary 20 $set (kindIs "invalid" $set) | ceil | int }}
{{- end }}
{{- define "gateway.graceSeconds" -}}
{{- $needed := add .Values.preStopSeconds (include "gateway.drainSeconds" .) 10 }}
{{- default $needed .Values.terminationGracePeriodSeconds | int }}
{{- end }}

{{/* Where people reach the gateway: settings.PUBLIC_URL, else what the Ingress serves. */}}
{{- define "gateway.publicUrl" -}}
{{- $scheme := ternary "https" "http" .Values.ingress.tls }}
{{- $served := ternary (printf "%s://%s" $scheme .Values.ingress.host) "" .Values.ingress.enabled }}
{{- default $served .Values.settings.PUBLIC_URL }}
{{- end }}

{{/* All settings as the environment has them, in YAML. What is empty is left to the code's default.
     toJson writes numbers as they are; Helm itself would print 52428800 as 5.24288e+07. */}}
{{- define "gateway.settings" -}}
{{- $settings := merge (dict "PUBLIC_URL" (include "gateway.publicUrl" .)) .Values.settings }}
{{- range $name, $value := $settings }}
{{- $text := "" }}
{{- if kindIs "slice" $value }}
{{- $text = join "," $value }}
{{- else if kindIs "string" $value }}
{{- $text = $value }}
{{- else if not (kindIs "invalid" $value) }}
{{- $text = toJson $value }}
{{- end }}
{{- if $text }}
{{- printf "%s: %s\n" $name (quote $text) }}
{{- end }}
{{- end }}
{{- end }}

{{/* Every container: no root, no capability, nothing writable but what is mounted. The image's user is 10001. */}}
{{- define "gateway.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end }}
{{- define "gateway.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
# The token of the IAM role is a file that this group may read.
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* What pods of every component have. */}}
{{- define "gateway.podBasics" -}}
# The settings are the environment: the addresses of all Services of the namespace have no place in it.
enableServiceLinks: false
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . | quote }}
{{- end }}
{{- end }}
securityContext:
  {{- include "gateway.podSecurity" . | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The environment of a container; what is in a Secret wins over the ConfigMap, since it comes later. */}}
{{- define "gateway.environment" -}}
envFrom:
  - configMapRef:
      name: {{ .settings }}
{{- range .root.Values.secretNames }}
  - secretRef:
      name: {{ . | quote }}
{{- end }}
{{- with .root.Values.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Room for the 20 uploads that the gateway takes at a time, written as Kubernetes writes it: in GiB where it is whole ones. */}}
{{- define "gateway.tmpSize" -}}
{{- $upload := divf (default 52428800 .Values.settings.MAX_UPLOAD_BYTES) 1048576 | ceil | int }}
{{- $size := mul 20 $upload }}
{{- ternary (printf "%dGi" (div $size 1024)) (printf "%dMi" $size) (eq (mod $size 1024) 0) }}
{{- end }}
