# Snapshots, by what volumes are stored with.
require_relative '../../../puppet_x/virtapi/restore_plan'
require_relative '../../../puppet_x/virtapi/snapshot_plan'
require_relative '../../../puppet_x/virtapi/volume_snapshots'

Puppet::Type.type(:virtapi_snapshots).provide(:storage) do
  desc 'qemu-img, QEMU itself while the machine runs, and rbd.'

  # A run begins without what an earlier one knew.
  def self.prefetch(_resources)
    @pools = {}
  end

  # One question for each pool, when the first of its volumes is looked at.
  def self.pool(name, connection)
    @pools ||= {}
    @pools[[name, connection]] ||= PuppetX::Virtapi::Rbd.pool_snapshots(name, connection)
  end

  def pending
    steps = { 'take' => plan.take, 'delete' => plan.delete }.flat_map { |step, names| names.map { |name| "#{step} #{name}" } }
    steps.empty? ? :none : steps.join(', ')
  end

  # One that fails does not keep the others.
  def pending=(_value)
    failures = attempts(plan.take) { |name| storage.take(name) } + attempts(plan.delete) { |name| storage.delete(name) }
    if failures.empty?
      lost = plan.take - storage.names
      failures << "#{lost.join(', ')} was taken, and is not there" unless lost.empty?
    end
    raise Puppet::Error, "#{resource[:place]}: #{failures.join('; ')}" unless failures.empty?
  end

  private

  def plan
    return @plan if @plan

    @plan = make_plan
    needed = resource[:restore] && resource[:restore]['snapshot']
    goes = needed && @plan.delete.include?(PuppetX::Virtapi::SnapshotPlan.name_of(needed))
    @plan = make_plan(needed) if goes && restore_pending?
    @plan
  end

  def make_plan(needed = nil)
    PuppetX::Virtapi::SnapshotPlan.new(snapshots: resource[:snapshots], there: there, now: Time.now, needed: needed)
  end

  # Asked only where the snapshot would go.
  def restore_pending?
    domain = resource[:vm] && PuppetX::Virtapi::Virsh.domains([resource[:vm]]).values.first
    return false unless domain && domain.persistent

    disks = domain.defined.disks.select { |disk| disk.uuid == resource[:uuid] || disk.source == source }
    !PuppetX::Virtapi::RestorePlan.new(wanted: { resource[:uuid] => resource[:restore]['number'] }, kept: domain.defined.restores,
                                       attached: disks.map { resource[:uuid] }).pending.empty?
  end

  # What a domain has as the source of its disk.
  def source
    rbd? ? "rbd:#{resource[:place]}" : resource[:place]
  end

  # None where the volume is not there, as in a dry run that would make it.
  def there
    return self.class.pool(resource[:place].split('/', 2).first, connection).fetch(resource[:place], []) if rbd?

    File.exist?(resource[:place]) ? storage.names : []
  end

  def attempts(names)
    names.map do |name|
      begin
        yield name
        nil
      rescue StandardError => error
        "#{name}: #{error.message.strip}"
      end
    end.compact
  end

  def storage
    @storage ||= if rbd?
                   PuppetX::Virtapi::ImageSnapshots.new(resource[:place], connection)
                 else
                   PuppetX::Virtapi::FileSnapshots.new(resource[:place], resource[:vm])
                 end
  end

  def rbd?
    resource[:type] == 'rbd'
  end

  def connection
    PuppetX::Virtapi::Rbd.connection(resource[:cluster], resource[:rbd_user], resource[:mons])
  end
end
