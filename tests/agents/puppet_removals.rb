# What the Puppet module does for tombstones on a hypervisor whose programs are those in PATH: one question as JSON on stdin, with
# the parameters of virtapi_removals and the UUIDs of the catalog's machines and volumes; the answer as JSON.
require 'json'
require 'puppet'
require 'tmpdir'
$LOAD_PATH.unshift(File.expand_path('../../puppet/lib', __dir__))
require 'puppet_x/virtapi/observation'

Puppet.initialize_settings(['--confdir', Dir.mktmpdir, '--vardir', Dir.mktmpdir, '--color', 'false'])
question = JSON.parse($stdin.read)
# Not this machine's own.
PuppetX::Virtapi::Seed.send(:remove_const, :DIRECTORY)
PuppetX::Virtapi::Seed.const_set(:DIRECTORY, question['seeds'])
type = ->(name) { Puppet::Type.type(name) }
catalog = Puppet::Resource::Catalog.new('a')
resource = type.call(:virtapi_removals).new(certname: 'hv01.example.com', **question['parameters'].transform_keys(&:to_sym))
catalog.add_resource(resource, *question['vms'].map { |uuid| type.call(:virtapi_domain).new(uuid: uuid) },
                     *question['volumes'].map { |uuid, place| type.call(:virtapi_volume).new(uuid: uuid, place: place) })
if question['age']
  catalog.add_resource(type.call(:virtapi_document).new(certname: 'a', meta: {}, max_age: 60, compiled_at: Time.now.to_i - question['age']))
end

answer = begin
  pending = resource.retrieve[:pending]
  property = resource.parameter(:pending)
  resource.provider.pending = :none unless question['only_look'] || property.insync?(pending)
  { pending: pending }
rescue Puppet::Error => error
  { pending: pending, error: error.message }
end
answer[:observed] = PuppetX::Virtapi::Observation.new({ 'local_storage_path' => question['storage'] }, catalog.resources).look { |error| error }
puts JSON.generate(answer)
