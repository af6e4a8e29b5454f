//! Every field of the Kubernetes 1.36 types that portico reads something of.
//!
//! A field names its type where portico reads below it; others, and maps, end the table.

/// A type of the Kubernetes API.
pub(super) struct Type(&'static [Field]);

struct Field {
    name: &'static str,
    inner: Option<&'static Type>,
}

impl Type {
    /// A field, with its type if that is in the table too.
    #[expect(
        clippy::option_option,
        reason = "outer: whether it exists; inner: whether below it is judged"
    )]
    pub(super) fn field(&self, name: &str) -> Option<Option<&'static Self>> {
        let field = self.0.iter().find(|field| field.name == name)?;
        Some(field.inner)
    }

    /// The names of all fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|field| field.name)
    }

    /// Fields whose types are in the table.
    pub(super) fn inner(&self) -> impl Iterator<Item = (&'static str, &'static Self)> {
        self.0
            .iter()
            .filter_map(|field| Some((field.name, field.inner?)))
    }
}

/// The type of a kind; none for a kind that is not read.
pub(super) fn of(kind: &str) -> Option<&'static Type> {
    Some(match kind {
        "Service" => &SERVICE,
        "Endpoints" => &ENDPOINTS,
        "EndpointSlice" => &ENDPOINT_SLICE,
        "Pod" => &POD,
        "Node" => &NODE,
        "Namespace" => &NAMESPACE,
        "Secret" => &SECRET,
        "ConfigMap" => &CONFIG_MAP,
        "Ingress" => &INGRESS,
        "IngressClass" => &INGRESS_CLASS,
        _ => return None,
    })
}

macro_rules! types {
    ($($name:ident { $($field:ident $(: $inner:ident)?),* $(,)? })*) => {
        $(static $name: Type = Type(&[
            $(Field { name: stringify!($field), inner: types!(@ $($inner)?) },)*
        ]);)*
    };
    (@ $inner:ident) => { Some(&$inner) };
    (@) => { None };
}

types! {
    SERVICE { apiVersion, kind, metadata: METADATA, spec: SERVICE_SPEC, status: SERVICE_STATUS }
    ENDPOINTS { apiVersion, kind, metadata: METADATA, subsets: SUBSET }
    ENDPOINT_SLICE {
        apiVersion, kind, metadata: METADATA, addressType, endpoints: ENDPOINT, ports: ENDPOINT_PORT,
    }
    POD { apiVersion, kind, metadata: METADATA, spec: POD_SPEC, status: POD_STATUS }
    NODE { apiVersion, kind, metadata: METADATA, spec: NODE_SPEC, status: NODE_STATUS }
    NAMESPACE { apiVersion, kind, metadata: METADATA, spec, status }
    SECRET { apiVersion, kind, metadata: METADATA, type, data, stringData, immutable }
    CONFIG_MAP { apiVersion, kind, metadata: METADATA, data, binaryData, immutable }
    INGRESS { apiVersion, kind, metadata: METADATA, spec: INGRESS_SPEC, status }
    INGRESS_CLASS { apiVersion, kind, metadata: METADATA, spec: INGRESS_CLASS_SPEC }

    METADATA {
        name, generateName, namespace, selfLink, uid, resourceVersion, generation,
        creationTimestamp, deletionTimestamp, deletionGracePeriodSeconds, labels, annotations,
        ownerReferences, finalizers, managedFields, clusterName,
    }

    SERVICE_SPEC {
        ports: SERVICE_PORT, selector, clusterIP, clusterIPs, type, externalIPs, sessionAffinity,
        loadBalancerIP, loadBalancerSourceRanges, externalName, externalTrafficPolicy,
        healthCheckNodePort, publishNotReadyAddresses, sessionAffinityConfig: AFFINITY, ipFamilies,
        ipFamilyPolicy, allocateLoadBalancerNodePorts, loadBalancerClass, internalTrafficPolicy,
        trafficDistribution,
    }
    SERVICE_PORT { name, protocol, port, targetPort, nodePort, appProtocol }
    AFFINITY { clientIP: CLIENT_IP }
    CLIENT_IP { timeoutSeconds }
    SERVICE_STATUS { loadBalancer: LOAD_BALANCER, conditions }
    LOAD_BALANCER { ingress: LOAD_BALANCER_INGRESS }
    LOAD_BALANCER_INGRESS { ip, hostname, ipMode, ports }

    SUBSET { addresses: SUBSET_ADDRESS, notReadyAddresses: SUBSET_ADDRESS, ports: ENDPOINT_PORT }
    SUBSET_ADDRESS { ip, hostname, nodeName, targetRef: OBJECT_REFERENCE }
    OBJECT_REFERENCE { kind, namespace, name, uid, apiVersion, resourceVersion, fieldPath }
    ENDPOINT_PORT { name, protocol, port, appProtocol }
    ENDPOINT {
        addresses, conditions: CONDITIONS, hostname, targetRef: OBJECT_REFERENCE,
        deprecatedTopology, nodeName, zone, hints: HINTS,
    }
    CONDITIONS { ready, serving, terminating }
    HINTS { forZones: HINT, forNodes: HINT }
    HINT { name }

    POD_SPEC {
        volumes, initContainers: CONTAINER, containers: CONTAINER, ephemeralContainers,
        restartPolicy, terminationGracePeriodSeconds, activeDeadlineSeconds, dnsPolicy,
        nodeSelector, serviceAccountName, serviceAccount, automountServiceAccountToken, nodeName,
        hostNetwork, hostPID, hostIPC, shareProcessNamespace, securityContext, imagePullSecrets,
        hostname, subdomain, affinity, schedulerName, tolerations, hostAliases, priorityClassName,
        priority, dnsConfig, readinessGates: READINESS_GATE, runtimeClassName, enableServiceLinks,
        preemptionPolicy, overhead, topologySpreadConstraints, setHostnameAsFQDN, os, hostUsers,
        schedulingGates, resourceClaims, resources, hostnameOverride, workloadRef, schedulingGroup,
    }
    READINESS_GATE { conditionType }
    CONTAINER {
        name, image, command, args, workingDir, ports: CONTAINER_PORT, envFrom, env, resources,
        resizePolicy, restartPolicy, restartPolicyRules, volumeMounts, volumeDevices,
        livenessProbe: PROBE, readinessProbe: PROBE, startupProbe: PROBE, lifecycle,
        terminationMessagePath, terminationMessagePolicy, imagePullPolicy, securityContext, stdin,
        stdinOnce, tty,
    }
    CONTAINER_PORT { name, hostPort, containerPort, protocol, hostIP }
    PROBE {
        exec: EXEC, httpGet: HTTP_GET, tcpSocket: TCP_SOCKET, grpc: GRPC, initialDelaySeconds,
        timeoutSeconds, periodSeconds, successThreshold, failureThreshold,
        terminationGracePeriodSeconds,
    }
    EXEC { command }
    HTTP_GET { path, port, host, scheme, httpHeaders: HTTP_HEADER }
    HTTP_HEADER { name, value }
    TCP_SOCKET { port, host }
    GRPC { port, service }
    POD_STATUS {
        observedGeneration, phase, conditions: POD_CONDITION, message, reason, nominatedNodeName,
        hostIP, hostIPs, podIP, podIPs: POD_IP, startTime, initContainerStatuses,
        containerStatuses, qosClass, ephemeralContainerStatuses, resize, resourceClaimStatuses,
        extendedResourceClaimStatus, allocatedResources, resources,
    }
    POD_IP { ip }
    POD_CONDITION {
        type, observedGeneration, status, lastProbeTime, lastTransitionTime, reason, message,
    }

    NODE_SPEC {
        podCIDR, podCIDRs, providerID, unschedulable, taints: TAINT, configSource, externalID,
    }
    TAINT { key, value, effect, timeAdded }
    NODE_STATUS {
        capacity, allocatable, phase, conditions, addresses: NODE_ADDRESS, daemonEndpoints,
        nodeInfo, images, volumesInUse, volumesAttached, config, runtimeHandlers, features,
        declaredFeatures,
    }
    NODE_ADDRESS { type, address }

    INGRESS_SPEC {
        ingressClassName, defaultBackend: INGRESS_BACKEND, tls: INGRESS_TLS, rules: INGRESS_RULE,
    }
    INGRESS_TLS { hosts, secretName }
    INGRESS_RULE { host, http: HTTP_RULE }
    HTTP_RULE { paths: HTTP_PATH }
    HTTP_PATH { path, pathType, backend: INGRESS_BACKEND }
    INGRESS_BACKEND { service: SERVICE_BACKEND, resource: TYPED_REFERENCE }
    SERVICE_BACKEND { name, port: BACKEND_PORT }
    BACKEND_PORT { name, number }
    TYPED_REFERENCE { apiGroup, kind, name }
    INGRESS_CLASS_SPEC { controller, parameters: CLASS_PARAMETERS }
    CLASS_PARAMETERS { apiGroup, kind, name, scope, namespace }
}
