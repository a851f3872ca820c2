# Pools, by ceph.
require_relative '../../../puppet_x/virtapi/ceph'

Puppet::Type.type(:virtapi_ceph_pool).provide(:ceph) do
  desc 'ceph.'

  commands ceph: 'ceph'

  attr_writer :found

  # All pools of a cluster by name, in one question.
  def self.pools(cluster)
    return {} unless PuppetX::Virtapi::Ceph.known?(cluster)

    PuppetX::Virtapi::Ceph.new(cluster).json('osd', 'pool', 'ls', 'detail').map { |pool| [pool['pool_name'], pool] }.to_h
  end

  def self.instances
    PuppetX::Virtapi::Ceph.clusters.flat_map do |cluster|
      pools(cluster).map do |name, pool|
        provider = new(name: "#{cluster}/#{name}")
        provider.found = pool
        provider
      end
    end
  end

  def self.prefetch(resources)
    resources.values.group_by(&:cluster).each do |cluster, same|
      found = pools(cluster)
      same.each { |resource| resource.provider.found = found[resource.short_name] }
    end
  end

  def exists?
    !@found.nil?
  end

  def create
    connection.run('osd', 'pool', 'create', pool, resource[:pg_num].to_s, '--size', resource[:size].to_s)
    self.min_size = resource[:min_size]
    self.application = resource[:application] if resource[:application]
  end

  def size
    @found['size']
  end

  def min_size
    @found['min_size']
  end

  # What it has, or is about to have.
  def pg_num
    [@found['pg_num'], @found['pg_num_target']].compact.max
  end

  def autoscale
    @found['pg_autoscale_mode']
  end

  def application
    names = @found['application_metadata'].keys
    names.empty? ? :absent : names.sort.join(', ')
  end

  def size=(value)
    set('size', value)
  end

  def min_size=(value)
    set('min_size', value)
  end

  def pg_num=(value)
    set('pg_num', value)
  end

  def application=(name)
    connection.run('osd', 'pool', 'application', 'enable', pool, name)
  end

  private

  def pool
    name.split('/', 2).last
  end

  def connection
    PuppetX::Virtapi::Ceph.new(name.split('/', 2).first)
  end

  def set(property, value)
    connection.run('osd', 'pool', 'set', pool, property, value.to_s)
  end
end
