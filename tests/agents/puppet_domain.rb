# Runs of Puppet over one resource, on a hypervisor whose programs are those in PATH, and which tells of its bridges in the directory
# that is given: each line of stdin has its type and its parameters as JSON, and is answered by a line with the messages of the run
# and what changed.
require 'json'
require 'puppet'
require 'tmpdir'
$LOAD_PATH.unshift(File.expand_path('../../puppet/lib', __dir__))
require 'puppet_x/virtapi/network_filter'

# Not this machine's own.
PuppetX::Virtapi::NetworkFilter.send(:remove_const, :BRIDGES)
PuppetX::Virtapi::NetworkFilter.const_set(:BRIDGES, ARGV[0])
Puppet.initialize_settings(['--confdir', '/nonexistent', '--vardir', Dir.mktmpdir, '--color', 'false'])
messages = []
Puppet::Util::Log.newdestination(Puppet::Test::LogCollector.new(messages))
Puppet::Util::Log.level = :notice
$stdin.each_line do |line|
  messages.clear
  catalog = Puppet::Resource::Catalog.new('a')
  type, parameters = JSON.parse(line)
  catalog.add_resource(Puppet::Type.type(type).new(parameters.compact.transform_keys(&:to_sym)))
  status = catalog.apply.report.resource_statuses.values.first
  changed = status.events.select { |event| event.status == 'success' }.map(&:property)
  puts JSON.generate(messages: messages.map { |message| [message.level, message.message] }, changed: changed.sort, failed: !!status.failed?)
  $stdout.flush
end
