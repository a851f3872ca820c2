"""
What changes in a domain while it runs, one action of its plan after the other. It decides nothing: that is
``virtapi_domain_plan``'s.
"""

import virtapi_domain_definition
import virtapi_domain_xml
from salt.exceptions import CommandExecutionError
from virtapi_domain_plan import SEED_KEPT


class LiveDomain:
    """One running domain."""

    def __init__(self, uuid, name, libvirt, warn):
        """``libvirt`` calls a function of ``virtapi_libvirt``; ``warn`` is told what a guest holds on to."""
        self.uuid = uuid
        self.name = name
        self.libvirt = libvirt
        self.warn = warn

    def change(self, actions, note):
        """Do what is to be done for each field, and note each."""
        # What goes away goes first, in case that its name is used anew.
        todo = [(field, action) for field, each in actions.items() for action in each]
        for field, action in sorted(todo, key=lambda each: not each[1].kind.startswith("detach")):
            getattr(self, action.kind)(action)
            note([field])

    def definition(self):
        """Return what runs by now: nothing, if it has ended meanwhile."""
        now = self.libvirt("domain", self.uuid)
        return virtapi_domain_definition.read(now["running"] if now and now["running"] else "<domain/>")

    def limit_cpu(self, action):
        self.libvirt("limit_cpu", self.uuid, action.device)

    def limit_disk(self, action):
        limits = {tag: action.device.limits[field] or 0 for field, tag in virtapi_domain_xml.IOTUNE.items()}
        self.libvirt("limit_disk", self.uuid, action.target, limits)

    def attach_disk(self, action):
        action.device.element.find("target").set("dev", action.target)
        self.libvirt("attach", self.uuid, virtapi_domain_xml.to_text(action.device.element))

    def change_seed(self, action):
        """Change what is in the drive. Its guest may have locked that, and has the new one at its next start then."""
        try:
            self.libvirt("change_medium", self.uuid, action.target, action.device)
        except CommandExecutionError as error:
            self.warn("restart needed: {}: {}".format(SEED_KEPT, error))

    def attach_interface(self, action):
        self.libvirt("attach", self.uuid, virtapi_domain_xml.to_text(action.device.element))

    def detach_disk(self, action):
        self.libvirt("detach", self.uuid, virtapi_domain_xml.to_text(action.device.element))
        if virtapi_domain_definition.counterpart(action.device, self.definition().disks):
            message = "{}: the guest does not let go of volume {}"
            raise CommandExecutionError(message.format(self.name, action.device.uuid))

    def detach_interface(self, action):
        """Cut it off at once, whatever the guest does."""
        self.libvirt("cut", self.uuid, action.device.mac)
        self.libvirt("detach", self.uuid, virtapi_domain_xml.to_text(action.device.element))
        if virtapi_domain_definition.counterpart(action.device, self.definition().interfaces):
            self.warn("interface {} is cut off, and the guest has not let go of it".format(action.device.mac))

    def filter_interface(self, action):
        """All else as it runs: libvirt changes nothing but the filter then."""
        virtapi_domain_definition.put_filter(action.device, action.target)
        self.libvirt("update", self.uuid, virtapi_domain_xml.to_text(action.device.element))

    def keep_restarts(self, action):
        self.libvirt("keep_restarts", self.uuid, action.device)
