# Looks at the end of a run, after the last resource and whatever became of it: a relationship would make the observation
# depend on the success of what it is to observe.
require 'json'
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
    hypervisor = resource[:hypervisor]
    return unless hypervisor

    observation = PuppetX::Virtapi::Observation.new(hypervisor, resource.catalog.resources)
    seen = observation.look { |error| resource.warning("could not look: #{error.message}") }
    resource.notice("virtapi: #{JSON.generate('observed' => seen)}")
  end
end
