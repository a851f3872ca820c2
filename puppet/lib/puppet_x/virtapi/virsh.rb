# libvirt by its own program, virsh: everything that there is in two calls, whatever the number of domains.
require 'puppet'
require 'securerandom'
require 'tempfile'
require_relative 'domain_definition'

module PuppetX
  module Virtapi
    # Questions and commands to the libvirt of this machine.
    module Virsh
      # What separates answers: nobody who gives a machine its name can know it.
      MARK = "==#{SecureRandom.hex(12)}==".freeze
      # Domains in one call: the arguments of a process are limited.
      BATCH = 200

      # The name of a packet filter of virtapi.
      FILTER = /#{NetworkFilter::PREFIX}\h{8}(?:-\h{4}){3}-\h{12}/.freeze

      # One domain as virsh tells of it.
      Domain = Struct.new(:uuid, :persistent, :autostart, :state, :reason, :defined_xml, :running_xml) do
        def running?
          %w[running paused].include?(state)
        end

        def defined
          @defined ||= DomainDefinition.new(Element.parse(defined_xml))
        end

        # nil when it does not run.
        def running
          return unless running?

          @running ||= DomainDefinition.new(Element.parse(running_xml))
        end
      end

      def self.run(*words)
        Puppet::Util::Execution.execute(['virsh', '-q', '-c', uri, *words], failonfail: true, combine: true)
      end

      # A command that takes XML in a file.
      def self.with_file(xml)
        Tempfile.create('virtapi') do |file|
          file.write(xml)
          file.close
          yield file.path
        end
      end

      def self.uri
        ENV.fetch('LIBVIRT_DEFAULT_URI', 'qemu:///system')
      end

      # All domains, or those with these UUIDs, by UUID.
      def self.domains(uuids = nil)
        lists = ['', ' --persistent', ' --autostart'].map { |which| "list --all --uuid#{which}" }
        known, *flags = run(lists.join("; echo #{MARK}; ")).split(MARK, -1).map(&:split)
        known &= uuids if uuids
        known.each_slice(BATCH).flat_map { |slice| ask(slice, *flags) }.map { |domain| [domain.uuid, domain] }.to_h
      end

      # The UUIDs of those that have a process, whatever it does.
      def self.active
        run('list', '--uuid').split
      end

      # The UUIDs of those that start with the hypervisor.
      def self.autostart
        run('list', '--all', '--uuid', '--autostart').split
      end

      def self.all
        run('list', '--all', '--uuid').split
      end

      # Names of all domains by UUID, how they are, and whether they have a process.
      def self.states
        uuids = all
        uuids.each_slice(BATCH).inject({}) do |found, slice|
          command = slice.map { |uuid| "echo #{MARK} #{uuid}; domname #{uuid}; domstate --reason #{uuid}" }.join('; ')
          found.merge(parse_states(run(command)))
        end
      end

      # The packet filters of virtapi by name. A libvirt without that part has none; to define one says why.
      def self.filters
        names = filter_names
        return {} if names.empty?

        names.each_slice(BATCH).flat_map do |slice|
          text = run(slice.map { |name| "echo #{MARK} #{name}; nwfilter-dumpxml #{name}" }.join('; '))
          text.split("#{MARK} ").drop(1).map { |section| [section[FILTER], section.sub(FILTER, '').strip] }
        end.to_h
      end

      def self.filter_names
        run('nwfilter-list').split.grep(/\A#{FILTER}\z/)
      rescue Puppet::ExecutionFailure => error
        Puppet.debug("no packet filters: #{error.message}")
        []
      end

      def self.ask(uuids, persistent, autostart)
        command = uuids.map do |uuid|
          "echo #{MARK} #{uuid}; domstate --reason #{uuid}; echo #{MARK} #{uuid}; dumpxml --inactive #{uuid}; " \
            "echo #{MARK} #{uuid}; dumpxml #{uuid}"
        end
        parse_domains(run(command.join('; ')), persistent, autostart)
      end

      # The answers of a batch: for each domain its state, what is defined, and what runs.
      def self.parse_domains(text, persistent, autostart, mark = MARK)
        sections(text, mark).group_by(&:first).map do |uuid, answers|
          raise Puppet::Error, "virsh told only a part of domain #{uuid}" unless answers.length == 3

          told, defined, running = answers.map(&:last)
          state, reason = state(told)
          Domain.new(uuid, persistent.include?(uuid), autostart.include?(uuid), state, reason, defined, running)
        end
      end

      def self.parse_states(text, mark = MARK)
        sections(text, mark).map do |uuid, answer|
          name, told = answer.strip.split(/\n+/, 2)
          [uuid, { name: name, state: state(told).first, active: !told.start_with?('shut off') }]
        end.to_h
      end

      # UUIDs with what follows them; virsh writes no line end after the echo when it is told to be quiet.
      def self.sections(text, mark)
        text.split("#{mark} ").drop(1).map { |section| [section[0, 36], section[36..].strip] }
      end

      # What virtapi calls the states of libvirt: running, paused, stopped or crashed.
      def self.state(told)
        state, reason = told.strip.match(/\A(.*?)(?: \((.*)\))?\z/).captures
        word = case state
               when 'shut off' then reason == 'crashed' ? 'crashed' : 'stopped'
               when 'crashed' then 'crashed'
               when 'paused', 'pmsuspended' then 'paused'
               else 'running'
               end
        [word, reason]
      end
      private_class_method :ask, :sections
    end
  end
end
