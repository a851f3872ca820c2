# How domains are shut down: they are asked, and have some time. Who may be switched off after that is not decided here.
require_relative 'virsh'

module PuppetX
  module Virtapi
    # By UUIDs of domains.
    module Shutdown
      # One that is paused would not hear of it.
      def self.ask(uuid, state)
        Virsh.run('resume', uuid) if state == 'paused'
        Virsh.run('shutdown', uuid)
      end

      # Those that still run when the time is over.
      def self.wait(uuids, seconds)
        deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
        left = uuids
        until (left &= Virsh.active).empty? || Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
          sleep 0.5
        end
        left
      end
    end
  end
end
