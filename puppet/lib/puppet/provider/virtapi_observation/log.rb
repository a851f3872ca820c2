# Looks at the end of a run, after the last resource and whatever became of it: a relationship would make the observation
# depend on the success of what it is to observe.
require 'json'
require_relative '../../../puppet_x/virtapi/ceph_observation'
require_relative '../../../puppet_x/virtapi/observation'

Puppet::Type.type(:virtapi_observation).provide(:log) do
  desc "Messages in the run's log."

  def self.prefetch(resources)
    @resources = resources.values
  end

  def self.post_resource_eval
    (@resources || []).each(&method(:tell))
    @resources = nil
  end

  def self.tell(resource)
    looks = looks(resource)
    return if looks.empty?

    # One part does not know of the other; unmanaged things are told together.
    seen = looks.map { |look| look.look { |error| resource.warning("could not look: #{error.message}") } }
                .reduce({}) { |all, part| all.merge(part) { |_, one, other| one.merge(other) } }
    resource.notice("virtapi: #{JSON.generate('observed' => seen)}")
  end

  # What there is to look at on this node.
  def self.looks(resource)
    looks = []
    looks << PuppetX::Virtapi::Observation.new(resource[:hypervisor], resource.catalog.resources) if resource[:hypervisor]
    ceph = PuppetX::Virtapi::CephObservation.new(resource.catalog.resources)
    looks << ceph if ceph.any?
    looks
  end
end
