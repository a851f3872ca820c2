# What the Puppet module makes of a golden document: `ruby puppet_golden.rb DIRECTORY` prints, as JSON, the XML of each
# domain, the configuration of each container and the segment of each bridge; of the files removals.json and
# snapshots/plans.json, the plan of each case; of tunnels.json, the tunnels; of containers/refused.json, why each container is refused.
require 'json'
lib = File.expand_path('../../puppet/lib/puppet_x/virtapi', __dir__)
require "#{lib}/container_config"
require "#{lib}/domain_xml"
require "#{lib}/removal_plan"
require "#{lib}/restore_plan"
require "#{lib}/segment"
require "#{lib}/snapshot_plan"
require "#{lib}/vxlan_peers"

def symbols(given)
  given.transform_keys(&:to_sym)
end

if File.basename(ARGV[0]) == 'plans.json'
  plans = JSON.parse(File.read(ARGV[0], encoding: 'UTF-8'))
  snapshots = plans['snapshots'].map do |example|
    given = symbols(example['given'])
    plan = PuppetX::Virtapi::SnapshotPlan.new(**given, now: Time.iso8601(given[:now]))
    %w[take delete].map { |name| [name, plan.public_send(name)] }.to_h
  end
  restores = plans['restores'].map do |example|
    plan = PuppetX::Virtapi::RestorePlan.new(**symbols(example['given']))
    %w[pending keep].map { |name| [name, plan.public_send(name)] }.to_h
  end
  puts JSON.generate('snapshots' => snapshots, 'restores' => restores)
  exit
end

if File.basename(ARGV[0]) == 'refused.json'
  machine = { 'volumes' => [{ 'type' => 'raw' }], 'gpus' => [], 'seed' => nil, 'security_rules' => nil }
  refused = JSON.parse(File.read(ARGV[0], encoding: 'UTF-8'))
  puts JSON.generate(refused.map { |example| PuppetX::Virtapi::ContainerConfig.refusals(machine.merge(example['change'])) })
  exit
end

if File.basename(ARGV[0]) == 'tunnels.json'
  tunnels = JSON.parse(File.read(ARGV[0], encoding: 'UTF-8')).map do |example|
    given = symbols(example['given'])
    segment = PuppetX::Virtapi::Segment.new([{ 'name' => 'overlay', 'tag' => nil, 'vni' => given[:vni] }])
    peers = given[:peers].map { |peer| PuppetX::Virtapi::VxlanPeers.canonical(peer) }
    PuppetX::Virtapi::VxlanPeers.others(peers, given[:own]).map { |peer| [segment.tunnel(peer), peer] }.to_h
  rescue ArgumentError
    nil
  end
  puts JSON.generate(tunnels)
  exit
end

if File.file?(ARGV[0])
  plans = JSON.parse(File.read(ARGV[0], encoding: 'UTF-8')).map do |example|
    given = symbols(example['given'])
    plan = PuppetX::Virtapi::RemovalPlan.new(**given, now: Time.iso8601(given[:now]))
    %w[stop undefine delete removed wrong refused].map { |name| [name, plan.public_send(name)] }.to_h
  end
  puts JSON.generate(plans)
  exit
end

read = ->(name) { JSON.parse(File.read(File.join(ARGV[0], name), encoding: 'UTF-8')) }
document = read.call('document.json')['virtapi']
settings = { 'rbd_user' => 'libvirt', 'clusters' => document.dig('ceph', 'clusters') || {} }
           .merge(read.call('settings.json'))
vms = document['hypervisor']['vms']
contained, virtual = vms.partition { |_, vm| vm['virt_method'] == 'LXC' }
containers = contained.map { |uuid, vm| [vm['domain'], PuppetX::Virtapi::ContainerConfig.new(uuid, vm, settings).build] }
domains = virtual.map { |uuid, vm| [vm['domain'], PuppetX::Virtapi::DomainXml.new(uuid, vm, settings).build.to_s] }
bridges = vms.values.flat_map { |vm| vm['interfaces'] }.map do |interface|
  cable = PuppetX::Virtapi::Segment.cable(interface['bridge'])
  segment = PuppetX::Virtapi::Segment.new(interface['vlans'])
  own = %i[vlan vxlan].include?(segment.kind)
  [interface['bridge'], { 'segment' => segment.to_s, 'cable' => cable, 'tap' => PuppetX::Virtapi::DomainXml.tap(interface['bridge']),
                          'segment_bridge' => own ? segment.bridge : nil, 'carrier' => own ? segment.carrier : nil,
                          'group' => segment.kind == :vxlan ? segment.group : nil }]
end
filters = virtual.map do |uuid, vm|
  filter = PuppetX::Virtapi::DomainXml.new(uuid, vm, settings).filter
  [vm['domain'], filter && filter.build.to_s]
end
puts JSON.generate('domains' => domains.to_h, 'bridges' => bridges.to_h, 'filters' => filters.to_h.compact,
                   'containers' => containers.to_h)
