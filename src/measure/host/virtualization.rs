//! Whether a hypervisor or a container is around us.

use std::path::Path;

use super::cpu::parse_hypervisor_flag;
use super::{line, read};

/// What a description of a virtual machine begins with.
pub(in super::super) const VIRTUAL_MACHINE: &str = "virtual machine";

/// What a description of a container begins with.
pub(in super::super) const CONTAINER: &str = "container";

/// `virtual machine (KVM), container (docker)`, or whichever of them there is.
pub(super) fn detect() -> Option<String> {
    let signs = Signs {
        flag: read("/proc/cpuinfo").and_then(|cpuinfo| parse_hypervisor_flag(&cpuinfo)),
        vendor: line("/sys/class/dmi/id/sys_vendor"),
        product: line("/sys/class/dmi/id/product_name"),
        xen: line("/sys/hypervisor/type"),
        release: line("/proc/sys/kernel/osrelease"),
        docker: Path::new("/.dockerenv").exists(),
        podman: Path::new("/run/.containerenv").exists(),
        kubernetes: std::env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
        manager: line("/run/systemd/container"),
    };
    signs.describe()
}

/// What the system shows of it.
#[derive(Debug, Default)]
struct Signs {
    /// The processor says that it is a virtual one.
    flag: Option<bool>,
    vendor: Option<String>,
    product: Option<String>,
    xen: Option<String>,
    release: Option<String>,
    docker: bool,
    podman: bool,
    kubernetes: bool,
    /// What manages the container, according to itself.
    manager: Option<String>,
}

impl Signs {
    fn describe(&self) -> Option<String> {
        let found: Vec<String> = [self.machine(), self.container()].into_iter().flatten().collect();
        (!found.is_empty()).then(|| found.join(", "))
    }

    fn machine(&self) -> Option<String> {
        match self.hypervisor() {
            Some(name) => Some(format!("{VIRTUAL_MACHINE} ({name})")),
            None if self.flag == Some(true) => Some(VIRTUAL_MACHINE.to_owned()),
            None => None,
        }
    }

    /// The firmware's names prove nothing where the processor denies: metal instances of a cloud
    /// carry its name too.
    fn hypervisor(&self) -> Option<&'static str> {
        if self.flag == Some(false) {
            return None;
        }
        if self.release.as_ref().is_some_and(|r| r.to_lowercase().contains("microsoft")) {
            return Some("WSL");
        }
        if self.xen.as_deref() == Some("xen") {
            return Some("Xen");
        }
        let names = [&self.vendor, &self.product].map(|name| name.as_deref().unwrap_or_default());
        let known = HYPERVISORS.iter().find(|(sign, _)| names.iter().any(|n| n.contains(sign)));
        known.map(|&(_, name)| name)
    }

    fn container(&self) -> Option<String> {
        let manager = self.manager.as_deref();
        let name = match () {
            () if self.kubernetes => "kubernetes",
            () if self.podman => "podman",
            () if self.docker => "docker",
            () => KNOWN_MANAGERS.into_iter().find(|&known| manager == Some(known))?,
        };
        Some(format!("{CONTAINER} ({name})"))
    }
}

/// What firmware calls itself, and whose it is. Other names are left unsaid: they name a product.
const HYPERVISORS: [(&str, &str); 12] = [
    ("VirtualBox", "VirtualBox"),
    ("VMware", "VMware"),
    ("Parallels", "Parallels"),
    ("Amazon EC2", "Amazon EC2"),
    ("Google Compute Engine", "Google Compute Engine"),
    ("DigitalOcean", "DigitalOcean"),
    ("OpenStack", "OpenStack"),
    ("Hetzner", "Hetzner"),
    ("Virtual Machine", "Hyper-V"),
    ("Xen", "Xen"),
    ("KVM", "KVM"),
    ("QEMU", "QEMU"),
];

/// Values of `/run/systemd/container` that say more than "some container".
const KNOWN_MANAGERS: [&str; 5] = ["lxc", "systemd-nspawn", "docker", "podman", "wsl"];

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn bare_metal_is_neither() {
        let laptop = Signs {
            flag: Some(false),
            vendor: owned("LENOVO"),
            product: owned("20Y5"),
            ..Signs::default()
        };
        assert_eq!(laptop.describe(), None);
    }

    #[test]
    fn firmware_names_the_hypervisor() {
        let vm = Signs { flag: Some(true), vendor: owned("QEMU"), ..Signs::default() };
        assert_eq!(vm.describe().as_deref(), Some("virtual machine (QEMU)"));
        // An ARM processor has no flag.
        let arm = Signs { vendor: owned("Amazon EC2"), ..Signs::default() };
        assert_eq!(arm.describe().as_deref(), Some("virtual machine (Amazon EC2)"));
    }

    #[test]
    fn a_hypervisor_without_firmware_is_still_one_and_its_container_is_named() {
        let firecracker = Signs { flag: Some(true), docker: true, ..Signs::default() };
        let expected = "virtual machine, container (docker)";
        assert_eq!(firecracker.describe().as_deref(), Some(expected));
    }

    #[test]
    fn a_metal_instance_of_a_cloud_is_no_virtual_machine() {
        let metal = Signs { flag: Some(false), vendor: owned("Amazon EC2"), ..Signs::default() };
        assert_eq!(metal.describe(), None);
    }

    #[test]
    fn an_unknown_product_is_not_told() {
        let secret = Signs { flag: Some(true), product: owned("ann-laptop"), ..Signs::default() };
        assert_eq!(secret.describe().as_deref(), Some("virtual machine"));
    }
}
