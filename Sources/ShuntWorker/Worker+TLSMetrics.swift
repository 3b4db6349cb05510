import ShuntCore
import ShuntTLS

extension MetricsText {
    /// How long the certificate is good for that masters see.
    mutating func clusterCertificate(_ tls: ReloadableTLS?, now: Double) {
        guard let tls else { return }
        family("shunt_cluster_certificate_expiry_seconds", "gauge", "Seconds until the cluster's certificate expires; below 0 once it has.")
        for expiry in tls.context.expiries {
            sample("shunt_cluster_certificate_expiry_seconds", ["certificate": expiry.file], Int(expiry.at - now))
        }
    }

    /// What handshakes came to, and how long certificates are good for. Nothing where no listener speaks TLS.
    mutating func tls(_ listeners: [ListenerTLS], now: Double) {
        guard !listeners.isEmpty else { return }
        family("shunt_tls_certificate_expiry_seconds", "gauge", "Seconds until a certificate expires; below 0 once it has.")
        for listener in listeners {
            for expiry in listener.context.expiries {
                sample(
                    "shunt_tls_certificate_expiry_seconds", ["listener": listener.listener, "certificate": expiry.file], Int(expiry.at - now))
            }
        }
        family("shunt_tls_handshakes_total", "counter", "Handshakes of TLS that were done: whole ones, and those that resumed a session.")
        for listener in listeners {
            let done = listener.figures.done
            sample("shunt_tls_handshakes_total", ["listener": listener.listener, "kind": "full"], done.full)
            sample("shunt_tls_handshakes_total", ["listener": listener.listener, "kind": "resumed"], done.resumed)
        }
        family("shunt_tls_handshakes_failed_total", "counter", "Handshakes of TLS that failed, by reason.")
        for listener in listeners {
            for reason in TLSFigures.Reason.allCases {
                sample(
                    "shunt_tls_handshakes_failed_total", ["listener": listener.listener, "reason": reason.rawValue],
                    listener.figures.failures(reason))
            }
        }
    }
}
