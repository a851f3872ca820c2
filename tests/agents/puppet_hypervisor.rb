# What the Puppet module decides about a hypervisor, without one: questions as JSON on stdin, answers as JSON.
require 'json'
require 'puppet'
require 'tmpdir'
$LOAD_PATH.unshift(File.expand_path('../../puppet/lib', __dir__))
%w[domain_plan golden_image virsh links ovs_database qcow2 segment].each { |name| require "puppet_x/virtapi/#{name}" }
include PuppetX::Virtapi

# One domain: what the document says, and as which document libvirt has defined and runs it; XML in place of a document
# is libvirt's own.
def plan(question)
  uuid = question['uuid']
  definition = lambda do |machine|
    next if machine.nil?

    root = machine.is_a?(String) ? Element.parse(machine) : DomainXml.new(uuid, machine, question['settings']).build
    DomainDefinition.new(Element.parse(root.to_s))
  end
  desired, defined, running = question.values_at('desired', 'defined', 'running').map(&definition)
  plan = DomainPlan.new(desired, defined, running)
  before = { undefined: plan.undefined, restart: plan.restart_reasons,
             actions: plan.actions.values.flatten.map { |action| [action.kind, action.target] } }
  merged = DomainMerge.new(definition.call(question['desired']).root, defined.root).merge
  again = DomainPlan.new(definition.call(question['desired']), DomainDefinition.new(Element.parse(merged.to_s)), nil)
  before.merge(merged: merged.to_s, left: again.undefined)
end

# What a machine says of its seed, and of a change to it.
def shown(question)
  Puppet.initialize_settings(['--confdir', Dir.mktmpdir, '--vardir', Dir.mktmpdir]) unless Puppet.settings.app_defaults_initialized?
  seed = Puppet::Type.type(question['type']).new(uuid: question['uuid'], seed: question['seed']).parameter(:seed)
  [seed.should, seed.change_to_s('none', seed.should)]
rescue Puppet::Error => error
  { error: error.message }
end

# Why no raw volume of so many bytes is made from a golden image; null where one is.
def golden(question)
  image = GoldenImage.new('/srv/vol-1.raw', question['backing'])
  image.check(question['bytes'])
  image.check_contents
rescue Puppet::Error => error
  error.message
end

# Which words of qemu-img make a volume, and what is left in its directory; the program itself is not asked.
def made(question)
  Puppet.initialize_settings(['--confdir', Dir.mktmpdir, '--vardir', Dir.mktmpdir]) unless Puppet.settings.app_defaults_initialized?
  place = "#{question['directory']}/vol-1"
  settings = { uuid: question['uuid'], provider: :file, type: question['type'], place: place, size_bytes: 1024, backing: question['backing'] }
  volume = Puppet::Type.type(:virtapi_volume).new(settings.compact)
  asked = []
  volume.provider.define_singleton_method(:qemu_img) { |*words| asked << words && File.write(words[-2], '') }
  volume.provider.send(:make, 1024)
  [asked, Dir.children(question['directory']).sort]
end

def virsh(question)
  found = Virsh.parse_domains(question['text'], question['persistent'], question['autostart'], question['mark'])
  found.map { |domain| [domain.uuid, domain.state, domain.reason, domain.persistent, domain.autostart, domain.defined.name, domain.running&.cores] }
end

def links(question)
  links = Links.new(question['text'])
  { bridges: links.bridges, master: links.master(question['of']), vni: links.vni(question['of']), up: links.up?(question['of']),
    mtu: links.mtu(question['of']), below: links.below(question['of']) }
end

def ovs(question)
  database = OvsDatabase.new(question['text'])
  { bridges: database.bridges, datapath: database.datapath_type('uplink0'),
    tunnels: database.tunnels(Segment.new([{ 'name' => 'overlay', 'tag' => nil, 'vni' => question['vni'] }])),
    narrowest: question.fetch('narrowest', []).map { |bridge| database.narrowest(bridge) },
    ports: question['of'].map { |port| [database.bridge_of(port), database.access?(port), database.tags(port)] } }
end

def qcow2(question)
  header = Qcow2.read(question['path'])
  header && [header.size, header.backing]
end

# What a machine's volume says of a catalog of this age, and the document.
def old_catalog(question)
  Puppet.initialize_settings(['--confdir', Dir.mktmpdir, '--vardir', Dir.mktmpdir]) unless Puppet.settings.app_defaults_initialized?
  document = Puppet::Type.type(:virtapi_document).new(certname: 'a', meta: {}, max_age: 60, compiled_at: Time.now.to_i - question['age'])
  volume = Puppet::Type.type(:virtapi_volume).new(uuid: question['uuid'], size_bytes: 1)
  Puppet::Resource::Catalog.new('a').add_resource(document, volume)
  [-> { volume.refuse_old_catalog }, -> { document.tell }].map do |question|
    question.call && nil
  rescue Puppet::Error => error
    error.message
  end
end

puts JSON.generate(JSON.parse($stdin.read).map { |question| send(question['ask'], question) })
