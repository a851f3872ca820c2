# Stops and undefines domains by virsh and containers by LXC, and deletes volumes with the tools of their storage.
require_relative '../../../puppet_x/virtapi/removals'
require_relative '../../../puppet_x/virtapi/shutdown'

Puppet::Type.type(:virtapi_removals).provide(:virsh) do
  desc 'virsh, LXC, and what volumes are stored with.'

  # What libvirt keeps of a domain, but for its disks.
  KEPT = %w[--managed-save --nvram --snapshots-metadata --checkpoints-metadata].freeze

  def refused
    removals.plan.refused
  end

  def problems
    removals.problems
  end

  def pending
    plan = removals.plan
    steps = { 'no autostart of' => removals.autostart, 'stop' => plan.stop, 'undefine' => plan.undefine,
              'delete the seed of' => removals.seeds, 'undefine the filter of' => removals.filters, 'delete' => plan.delete }
            .flat_map { |step, uuids| uuids.map { |uuid| "#{step} #{removals.name(uuid)}" } }
    steps.empty? ? :none : steps.join(', ')
  end

  # One that fails does not keep the others.
  def pending=(_value)
    @failures = problems.dup
    plan = removals.plan
    removals.autostart.each { |uuid| attempt { leave_off(uuid) } }
    contained, domains = plan.stop.partition { |uuid| removals.container(uuid) }
    stop(domains) unless domains.empty?
    stop_containers(contained) unless contained.empty?
    contained, domains = plan.undefine.partition { |uuid| removals.container(uuid) }
    undefine(domains) unless domains.empty?
    undefine_containers(contained) unless contained.empty?
    removals.seeds.each { |uuid| attempt { delete_seed(uuid) } }
    removals.filters.each { |uuid| attempt { undefine_filter(uuid) } }
    delete(plan.delete) unless plan.delete.empty?
    raise Puppet::Error, @failures.join('; ') unless @failures.empty?
  end

  private

  def removals
    @removals ||= PuppetX::Virtapi::Removals.new(resource)
  end

  def virsh(*words)
    PuppetX::Virtapi::Virsh.run(*words)
  end

  # Whether it went well.
  def attempt
    yield
    true
  rescue StandardError => error
    @failures << error.message
    false
  end

  def leave_off(uuid)
    container = removals.container(uuid)
    container ? removals.lxc.leave_off(container) : virsh('autostart', uuid, '--disable')
  end

  def stop_containers(uuids)
    seconds = resource[:shutdown_timeout]
    lxc = removals.lxc
    asked = uuids.select { |uuid| attempt { lxc.ask(removals.name(uuid), removals.state(uuid)) } }
    attempt do
      lxc.wait(asked.map { |uuid| removals.name(uuid) }, seconds).each do |name|
        resource.warning("#{name} has not shut down in #{seconds} s, and is killed")
        attempt { lxc.kill(name) }
      end
    end
  end

  def undefine_containers(uuids)
    attempt do
      there = removals.lxc.containers.select { |container| uuids.include?(container.uuid) }
      there.each do |container|
        attempt do
          raise Puppet::Error, "#{container.name} still runs, and is not undefined" if container.running?

          removals.lxc.undefine(container.name)
          delete_seed(container.uuid)
        end
      end
    end
  end

  # All have the same time, at the same time.
  def stop(uuids)
    seconds = resource[:shutdown_timeout]
    asked = uuids.select { |uuid| attempt { PuppetX::Virtapi::Shutdown.ask(uuid, removals.state(uuid)) } }
    attempt do
      PuppetX::Virtapi::Shutdown.wait(asked, seconds).each do |uuid|
        resource.warning("#{removals.name(uuid)} has not shut down in #{seconds} s, and is switched off")
        attempt { virsh('destroy', uuid) }
      end
    end
  end

  # Of a domain that runs it would only take away that it is kept. One that was never kept is gone when it has ended.
  def undefine(uuids)
    attempt do
      active = PuppetX::Virtapi::Virsh.active
      (uuids & PuppetX::Virtapi::Virsh.all).each do |uuid|
        attempt do
          raise Puppet::Error, "#{removals.name(uuid)} still runs, and is not undefined" if active.include?(uuid)

          virsh('undefine', uuid, *KEPT)
          delete_seed(uuid)
          undefine_filter(uuid)
        end
      end
    end
  end

  def delete_seed(uuid)
    images = removals.images(uuid)
    images.delete(images.all)
  end

  def undefine_filter(uuid)
    name = PuppetX::Virtapi::NetworkFilter.name_of(uuid)
    virsh('nwfilter-undefine', name) if removals.filter_names.include?(name)
  end

  def delete(uuids)
    attempt do
      domains = PuppetX::Virtapi::Virsh.domains.values
      containers = removals.lxc.containers
      uuids.map { |uuid| removals.volume(uuid) }.each do |volume|
        attempt do
          user = removals.user(volume, domains, containers)
          raise Puppet::Error, "#{user} has #{volume.place}: it stays" if user

          volume.delete
        end
      end
    end
  end
end
