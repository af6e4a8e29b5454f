//! The stable name of each kind of finding: `P0301`.
//!
//! Invariants: a code keeps its number, meaning and severity for ever; one that is no longer found
//! is retired, never given out again. The hundreds say where it is found:
//!
//! | codes | about |
//! |---|---|
//! | `P01xx` | files, documents and what every manifest has |
//! | `P02xx` | values of fields, whatever the kind |
//! | `P03xx` | Services |
//! | `P04xx` | endpoints: EndpointSlice, Endpoints, Pod, Node |
//! | `P05xx` | Ingress and IngressClass |
//! | `P06xx` | Secrets and certificates |
//! | `P07xx` | objects that do not fit together |
//! | `P08xx` | settings |
//!
//! What each means, with the way out, stands in `docs/diagnostics.md`: a test holds both together.

use std::fmt;

use super::Severity;

macro_rules! codes {
    ($($number:literal $name:ident $severity:ident $title:literal,)*) => {
        /// What is wrong, by its stable number.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[non_exhaustive]
        pub enum Code {
            $(
                #[doc = $title]
                $name = $number,
            )*
        }

        impl Code {
            /// Every code, in the order of numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// What happens to the object that it is found in.
            pub fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)*
                }
            }

            /// The headline of its page: lower case, without a full stop.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)*
                }
            }
        }
    };
}

codes! {
    101 Unreadable Error "a file or folder cannot be read",
    102 NotText Error "a file is not UTF-8 text",
    103 Syntax Error "a document is neither YAML nor JSON",
    104 LimitExceeded Error "a document or file is larger than its limit",
    105 NotAnObject Error "a document is not a Kubernetes object",
    106 NoType Error "apiVersion or kind is missing",
    107 OldVersion Error "an API version is not served any more",
    108 WrongType Error "a value has the wrong type",
    109 NoName Error "an object has no name",
    110 UnknownField Warning "a field does not exist",
    111 UnusedKind Note "a kind is not used by portico",
    112 DuplicateObject Error "two objects have one name",
    113 DuplicateKey Error "a key stands twice in one mapping",
    114 TabIndentation Error "a line is indented with a tab",
    115 TooDeep Error "a document is nested deeper than its limit",
    116 TooManyDocuments Error "a file holds more documents than its limit",
    117 TooManyAliases Error "aliases repeat more than their limit",
    118 UnknownAnchor Error "an alias names no anchor of its document",
    119 UnknownType Error "a kind or its API group is not written right",
    120 NeedsQuotes Error "a text without quotes is read as another type",
    121 FileFindingsCut Note "more is wrong with a file than is told",
    122 BareAnnotation Warning "the value of an annotation needs quotes",

    201 InvalidName Error "a name is not well-formed",
    202 NamespaceIgnored Warning "a namespace is given to a kind that has none",
    203 Required Error "a required value is missing",
    204 Unsupported Error "a value is not one of those that exist",
    205 Duplicate Error "a value that must be unique is given twice",
    206 InvalidAddress Error "a text is no IP address",
    207 InvalidPort Error "a number is no port",
    208 Sloppy Warning "an address is not written in its canonical form",
    209 InvalidCidr Error "a text is no CIDR",
    210 InvalidLabel Error "a label is not well-formed",
    211 InvalidAnnotation Error "the key of an annotation is not well-formed",
    212 TooLong Error "a value is longer than its limit",
    213 TooMany Error "a list is longer than its limit",
    214 InvalidTime Error "a text is no time",
    215 MoreFindings Note "an object has more mistakes than are listed",
    216 SpecialAddress Error "an address cannot stand here",
    217 InvalidQualifiedName Error "a qualified name is not well-formed",

    301 ClusterIpsDisagree Error "clusterIP and clusterIPs contradict each other",
    302 HeadlessNotAllowed Error "a Service of this type cannot be headless",
    303 NodePortNotAllowed Error "a nodePort is given to a Service that has none",
    304 NodePortRange Error "a nodePort is outside its range",
    305 InvalidTargetPort Error "a targetPort is not well-formed",
    306 InvalidEndpointsAnnotation Error "portico.dev/endpoints cannot be read",
    307 RelaxedName Note "a Service name needs Kubernetes 1.36",
    308 FieldIgnored Warning "a field has no effect on a Service of this kind",
    309 ExternalNameForbids Error "a field may not be set for an ExternalName Service",
    310 FamiliesDisagree Error "IP families contradict the addresses or the policy",
    311 InvalidSelector Error "a selector is not well-formed",
    312 AffinityTimeout Error "the timeout of a session affinity is outside its range",
    313 AffinityConfigNotAllowed Error "sessionAffinityConfig is given without session affinity",
    314 LoadBalancerOnly Error "a field is for Services of type LoadBalancer alone",
    315 TrafficPolicyNotAllowed Error "externalTrafficPolicy is given without a way in from outside",
    316 HealthCheckNotAllowed Error "a healthCheckNodePort is given where there is none",
    317 TopologyDisagrees Error "two topology annotations contradict each other",
    318 KubeletPort Error "a LoadBalancer Service has the port of the kubelet",
    319 LoadBalancerIpUnusable Warning "a loadBalancerIP is no address",
    320 IpModeWithoutIp Error "an ipMode is given without an ip",
    321 InvalidMaxConnections Error "portico.dev/max-connections is no number of connections",
    322 InvalidProxyProtocol Error "portico.dev/proxy-protocol cannot be read",
    323 InvalidBalance Warning "portico.dev/balance names no way to balance",
    324 InvalidWeight Warning "portico.dev/weight cannot be read",
    325 InvalidSlowStart Warning "portico.dev/slow-start is no time",
    326 InvalidEndpointBound Error "a bound of the endpoints of a Service is no number of requests",
    330 InvalidDnsAnnotation Warning "an annotation about names cannot be read",

    401 SliceWithoutService Warning "an EndpointSlice belongs to no Service",
    402 FqdnNotUsed Warning "an EndpointSlice of type FQDN is not used",
    403 NoAddress Error "an endpoint has no address",
    404 AddressFamily Error "an address is of another family than its EndpointSlice",
    405 AddressesUnused Warning "an endpoint has addresses that are not used",
    406 PortUnused Warning "a port of an EndpointSlice has no number",
    407 InvalidFqdn Error "an address of type FQDN is no domain name",
    408 InvalidHint Error "a topology hint is not well-formed",
    409 PodIpsDisagree Error "podIP and podIPs contradict each other",
    410 ConditionStatus Warning "a condition is neither True, False nor Unknown",
    411 PodCidrsDisagree Error "podCIDR and podCIDRs contradict each other",
    412 InvalidTaint Error "a taint is not well-formed",
    413 InvalidProbe Error "a probe is not well-formed",
    414 ExecProbe Note "a probe runs a command, which portico does not",
    415 NotProbed Note "a Pod is not probed here and counts as ready",
    416 ProbePortMissing Warning "a probe names a port that its container does not have",

    501 NoRules Error "an Ingress has neither rules nor a default backend",
    502 InvalidHost Error "a host is not well-formed",
    503 InvalidPath Error "a path is not well-formed",
    504 InvalidBackend Error "a backend is not well-formed",
    505 InvalidController Error "the controller of an IngressClass is not well-formed",
    506 ClassesDisagree Warning "ingressClassName and its old annotation differ",
    507 TlsHostTwice Warning "two entries of tls name one host",
    508 PatternInPath Warning "a path that is compared literally looks like a pattern",
    509 ParametersNamespace Error "parameters of a whole cluster have a namespace",
    510 ParametersUnused Note "parameters of an IngressClass have no effect",
    511 AnnotationCloses Error "an annotation closes the locations of its Ingress",
    512 AnnotationWithoutEffect Warning "an annotation of ingress-nginx is not obeyed",
    513 AnnotationIgnored Note "an annotation of ingress-nginx is not needed",
    514 UnknownIngressAnnotation Warning "an annotation of ingress-nginx does not exist",
    515 InvalidIngressAnnotation Warning "an annotation of ingress-nginx cannot be read",
    516 HostWideTaken Warning "two Ingresses ask different things of one host",
    517 AnnotationRefused Error "what ingress-nginx does is refused",
    518 AnnotationDiffers Warning "what ingress-nginx does is done with a difference",
    519 AnnotationSupported Note "what ingress-nginx does is done",

    601 NoCertificate Error "a TLS Secret holds no usable certificate",
    602 NoKey Error "a TLS Secret holds no usable key",
    603 KeyDoesNotFit Error "a key does not fit its certificate",
    604 KeyNotCompared Warning "a key could not be compared with its certificate",
    605 NotBase64 Error "a value of a Secret is not base64",
    606 KeyEncrypted Error "a key is encrypted",
    607 KeyNotSupported Error "a key is of a kind that TLS does not use here",
    608 SeveralKeys Error "tls.key holds more than one key",
    609 ChainReversed Error "a certificate chain does not begin with the leaf",
    610 ChainBroken Warning "a certificate chain has a gap",
    611 NoAlternativeName Warning "a certificate names no host as clients look for it",
    612 Swapped Error "certificate and key stand in each other's place",
    613 InvalidDataKey Error "a key of a Secret or ConfigMap is not well-formed",

    701 SelectsNothing Warning "a selector matches no Pod",
    702 AdminBackend Warning "an endpoint is portico's own admin listener",
    703 Cycle Warning "endpoints lead back to their own Service",
    704 ClusterIpTaken Warning "a clusterIP belongs to another Service",
    705 ClusterIpsExhausted Warning "a service CIDR has no address left",
    706 NodePortTaken Warning "a nodePort belongs to another Service",
    707 NodePortsExhausted Warning "no nodePort is left",
    708 FrontTaken Warning "two Services claim one address and port",
    709 SctpNotCarried Warning "SCTP is not carried",
    710 DefaultClasses Warning "more than one IngressClass is the default",
    711 NotOurClass Note "an Ingress is left to another controller",
    712 PathTaken Warning "two Ingresses claim one host and path",
    713 ResourceBackend Warning "a resource backend is not served",
    714 MissingService Warning "an Ingress names a Service that does not exist",
    715 MissingServicePort Warning "an Ingress names a port that its Service does not have",
    716 ExternalNameBackend Warning "an Ingress leads to an ExternalName that may not be used",
    717 MissingSecret Warning "an Ingress names a Secret that does not exist",
    718 SecretGone Warning "a Secret is gone and its last certificate is still served",
    719 SecretWithoutCertificate Warning "an Ingress names a Secret without a certificate",
    720 CertificateForOtherHost Warning "a certificate is not for the host it is used for",
    721 CertificateExpired Warning "a certificate has expired",
    722 Evicted Warning "a value that was allocated is taken by one that is written",
    723 CertificateNotYetValid Warning "a certificate is not valid yet",
    724 FamilyNotServed Note "an IP family is asked for and not served",
    725 NoTrustedProxy Warning "a PROXY header is required and no proxy is trusted",
    740 NoTopologyHints Note "topology-mode Auto comes to no hints",

    801 NotSettings Error "a settings file is not one PorticoConfiguration",
    802 UnknownSetting Error "a setting does not exist",
    803 InvalidSetting Error "a setting has a value that it does not take",
    804 NeedsRestart Warning "a setting takes effect at the next start",
    805 HostsLine Warning "a line of a hosts file cannot be read",
    806 DnsSecretUnusable Warning "the Secret of the resolver's certificate is not there",
}

impl Code {
    /// The code of a number as users write it: `P0301`, in upper or lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.strip_prefix(['P', 'p'])?;
        let plain = number.len() == 4 && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = plain.then(|| number.parse::<u16>().ok())??;
        Self::ALL
            .iter()
            .copied()
            .find(|code| *code as u16 == number)
    }

    /// The code that somebody may have meant: by a number that is near, or a word of its title.
    pub fn nearest(text: &str) -> Option<Self> {
        let digits: String = text.chars().filter(char::is_ascii_digit).take(9).collect();
        if let Ok(number) = digits.parse::<u32>() {
            let distance = |code: &Self| u32::from(*code as u16).abs_diff(number);
            return Self::ALL.iter().copied().min_by_key(distance);
        }
        let word = text.to_lowercase();
        let holds = |code: &&Self| code.title().to_lowercase().contains(&word);
        Self::ALL
            .iter()
            .find(holds)
            .copied()
            .filter(|_| word.len() > 2)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P{:04}", *self as u16)
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn a_code_is_read_as_it_is_written() {
        for code in Code::ALL {
            assert_eq!(Code::parse(&code.to_string()), Some(*code));
        }
        for (text, want) in [
            ("p0101", Some(Code::Unreadable)),
            ("P101", None),
            ("P0000", None),
            ("P+101", None),
            ("E0101", None),
            ("", None),
        ] {
            assert_eq!(Code::parse(text), want, "{text}");
        }
    }

    #[test]
    fn a_code_that_does_not_exist_has_a_neighbour() {
        for (text, want) in [
            ("P304", Some(Code::NodePortRange)),
            ("E0304", Some(Code::NodePortRange)),
            ("P0199999999999", Some(*Code::ALL.last().unwrap())),
            ("NodePort", Some(Code::NodePortNotAllowed)),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(Code::nearest(text), want, "{text}");
        }
    }

    #[test]
    fn codes_stand_in_the_order_of_their_numbers() {
        assert!(Code::ALL.is_sorted());
        for code in Code::ALL {
            let title = code.title();
            assert!(!title.ends_with('.') && title.len() <= 72, "{code}: {title}");
        }
    }
}
