{{/* Values that contradict each other, or without which nothing works: one line each, all said at once.
     What is wrong by itself, such as a misspelt name or a wrong type, values.schema.json refuses. */}}
{{- define "gateway.checks" -}}
{{- include "gateway.checksOfPods" . }}
{{- include "gateway.checksOfScaling" . }}
{{- include "gateway.checksOfNetwork" . }}
{{- end }}

{{- define "gateway.checksOfPods" -}}
{{- if not .Values.image.repository }}
image.repository is not set: no public registry has this image
{{- end }}
{{- range list "BUILDER_SERVICE_URL" "LOKI_SERVICE_URL" "PROMETHEUS_SERVICE_URL" }}
{{- if not (or (get $.Values.settings .) $.Values.secretNames) }}
settings.{{ . }} is not set, and there is no Secret in secretNames that could hold it
{{- end }}
{{- end }}
{{- range .Values.extraEnv }}
{{- if hasKey $.Values.settings .name }}
extraEnv has {{ .name }}, which is a setting: it belongs below settings
{{- end }}
{{- end }}
{{- range $label, $_ := .Values.podLabels }}
{{- if hasPrefix "app.kubernetes.io/" $label }}
podLabels has {{ $label }}: the Service and the Deployment find their pods by the chart's own
{{- end }}
{{- end }}
{{- if not (or .Values.serviceAccount.create .Values.serviceAccount.name) }}
serviceAccount.create is false: serviceAccount.name has to name an account that exists
{{- end }}
{{- if and .Values.serviceAccount.roleArn (not .Values.serviceAccount.create) }}
serviceAccount.roleArn is set and serviceAccount.create is false: annotate {{ .Values.serviceAccount.name }} where it is made
{{- end }}
{{- $stop := add .Values.preStopSeconds (include "gateway.drainSeconds" .) }}
{{- with .Values.terminationGracePeriodSeconds }}
{{- if le (int64 .) $stop }}
terminationGracePeriodSeconds is {{ . }}: it has to be above the {{ $stop }} s that preStopSeconds and settings.DRAIN_TIMEOUT_S take together
{{- end }}
{{- end }}
{{- end }}

{{- define "gateway.checksOfScaling" -}}
{{- with .Values.autoscaling }}
{{- if .enabled }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
autoscaling.minReplicas is {{ .minReplicas }}, above autoscaling.maxReplicas, which is {{ .maxReplicas }}
{{- end }}
{{- if not (or .cpuPercent .memoryPercent) }}
autoscaling.enabled is true, and neither autoscaling.cpuPercent nor autoscaling.memoryPercent is set
{{- end }}
{{- range $resource := list "cpu" "memory" }}
{{- if and (get $.Values.autoscaling (printf "%sPercent" $resource)) (not (dig "requests" $resource "" $.Values.resources)) }}
autoscaling.{{ $resource }}Percent is a share of resources.requests.{{ $resource }}, which is not set
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "gateway.checksOfNetwork" -}}
{{- with .Values.ingress }}
{{- if .enabled }}
{{- if not .host }}
ingress.enabled is true, and ingress.host is not set
{{- end }}
{{- if and (eq .className "alb") (eq .targetType "instance") (ne $.Values.service.type "NodePort") }}
ingress.targetType is instance: service.type has to be NodePort
{{- end }}
{{- range $annotation, $_ := .annotations }}
{{- if has $annotation (list "alb.ingress.kubernetes.io/load-balancer-attributes" "alb.ingress.kubernetes.io/target-group-attributes") }}
ingress.annotations has {{ $annotation }}, which the chart makes: see ingress.loadBalancerAttributes
{{- end }}
{{- end }}
{{- if hasKey .loadBalancerAttributes "idle_timeout.timeout_seconds" }}
ingress.loadBalancerAttributes has idle_timeout.timeout_seconds, which is ingress.idleTimeoutSeconds
{{- end }}
{{- if and .certificateArn (not .tls) }}
ingress.certificateArn is set, and ingress.tls is false
{{- end }}
{{- end }}
{{- end }}
{{- if and .Values.service.nodePort (ne .Values.service.type "NodePort") }}
service.nodePort is set: service.type has to be NodePort
{{- end }}
{{- if .Values.networkPolicy.enabled }}
{{- range $system := list "builder" "loki" "prometheus" }}
{{- $setting := printf "%s_SERVICE_URL" (upper $system) }}
{{- if not (or (get $.Values.networkPolicy.egress $system).to (include "gateway.namespaceOf" (get $.Values.settings $setting))) }}
networkPolicy.egress.{{ $system }}.to is not set, and settings.{{ $setting }} does not name a Service with its namespace
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The namespace in the URL of a Service, as in http://loki.monitoring.svc:3100; empty where there is none. */}}
{{- define "gateway.namespaceOf" -}}
{{- $host := regexReplaceAll "^https?://([^/@]*@)?([^:/]*).*$" (default "" .) "${2}" }}
{{- if regexMatch "^[a-z0-9-]+\\.[a-z0-9-]+(\\.svc(\\.cluster\\.local)?)?$" $host }}
{{- index (splitList "." $host) 1 }}
{{- end }}
{{- end }}
