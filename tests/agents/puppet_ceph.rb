# What the Puppet module decides about a cluster of Ceph, without one: questions as JSON on stdin, answers as JSON. Where a
# question needs programs of Ceph, they are those in PATH.
require 'json'
require 'puppet'
require 'tmpdir'
library = File.expand_path('../../puppet/lib', __dir__)
$LOAD_PATH.unshift(library)
%w[ceph_daemon ceph_device ceph_keyring ceph_plan].each { |name| require "puppet_x/virtapi/#{name}" }
include PuppetX::Virtapi

Puppet.initialize_settings(['--confdir', Dir.mktmpdir, '--vardir', Dir.mktmpdir, '--color', 'false'])

def step(step)
  step && [step.kind, step.detail]
end

def mon_beginning(question)
  step(CephPlan.mon_beginning(**question.transform_keys(&:to_sym)))
end

def mon_removal(question)
  status = question['mons'] && { 'monmap' => { 'mons' => question['mons'].map { |name| { 'name' => name } } },
                                 'quorum_names' => question['quorum'] }
  CephPlan.mon_removal(status, question['name'])
end

def osd_beginning(question)
  step(CephPlan.osd_beginning(question['uuid'], question['known'], question['device']))
end

def osd_removal(question)
  step(CephPlan.osd_removal(question['known'], question['here']) { question['unsafe'] })
end

def pool(question)
  [CephPlan.pool_size(*question['size']), CephPlan.pg_num_right?(*question['pg_num'])]
end

# What a resource with a key says of it, and of a change to it.
def shown(question)
  type = Puppet::Type.type(question['type'].to_sym)
  key = type.new(question['name'].transform_keys(&:to_sym).merge(key: question['key'])).parameter(:key)
  [key.sensitive, key.is_to_s(question['key']), key.should_to_s(question['key']), key.change_to_s(question['key'], question['key'])]
end

def keyring(question)
  [CephKeyring.text(*question['text']), CephKeyring.key(question['path'], question['text'].first)]
end

def device(question)
  CephDevice.contents(question['path'])
end

# What a resource's provider does, in one word; the error where it refuses.
def call(question)
  type = Puppet::Type.type(question['type'].to_sym)
  resource = type.new(question['parameters'].transform_keys(&:to_sym))
  provider = resource.provider
  provider.class.prefetch(resource.name => resource) if provider.class.respond_to?(:prefetch)
  question['methods'].map { |name| resource.provider.public_send(name) }
rescue Puppet::Error => error
  { error: error.message }
end

# Why a resource is none that can be brought about, which is asked when Puppet comes to it; nil where it can.
def refused(question)
  Puppet::Type.type(question['type'].to_sym).new(question['parameters'].transform_keys(&:to_sym)).refuse
rescue Puppet::Error => error
  error.message
end

# What is done about an OSD that is to be absent, where the cluster's map has this of it.
def absent(question)
  resource = Puppet::Type.type(:virtapi_ceph_osd).new(uuid: question['uuid'], ensure: :absent, cluster: 'ceph', init: :direct)
  provider = resource.provider
  provider.osds = Struct.new(:entry) do
    def known(_uuid)
      entry
    end

    def here(_uuid); end
  end.new(question['known'])
  state = provider.removal
  done = provider.removed?(state)
  provider.remove unless done
  [state, done]
end

# What keeps OSDs from being taken away, of a node with so many, of which so many are to go and so many are gone.
def removals(question)
  uuids = Array.new(question['all']) { |n| format('00000000-0000-4000-8000-%012d', n) }
  going = uuids.first(question['going'])
  gone = going.first(question['gone'] || 0)
  entries = (uuids - gone).to_h { |uuid| [uuid, { 'osd' => 1 }] }
  known = Struct.new(:entries) do
    def known(uuid)
      entries[uuid]
    end

    def here(_uuid); end
  end.new(entries)
  catalog = Puppet::Resource::Catalog.new
  uuids.each do |uuid|
    ensured = going.include?(uuid) ? :absent : :present
    osd = Puppet::Type.type(:virtapi_ceph_osd).new(uuid: uuid, ensure: ensured, cluster: 'ceph', init: :direct, device: '/dev/sdb',
                                                   max_removals: question['max_removals'] || 20)
    osd.provider.osds = known
    catalog.add_resource(osd)
  end
  meta = { 'generation' => 12, 'approved' => question['approved'] == true }
  catalog.add_resource(Puppet::Type.type(:virtapi_document).new(certname: 'st01.example.com', meta: meta))
  uuids.map { |uuid| catalog.resource(:virtapi_ceph_osd, uuid) }.each(&:refuse)
  nil
rescue Puppet::Error => error
  error.message
end

# A daemon as a unit of systemd.
def unit(question)
  daemon = CephDaemon.of('systemd', question['cluster'], 'mon', 'a')
  question['methods'].map { |name| daemon.public_send(name) == true }
rescue Puppet::Error => error
  { error: error.message }
end

puts JSON.generate(JSON.parse($stdin.read).map { |question| send(question.delete('ask'), question) })
