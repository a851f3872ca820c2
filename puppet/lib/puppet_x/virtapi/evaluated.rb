# Whether a run really did what the catalog says: a resource that was skipped by tags or schedule, or that was only looked
# at (noop), is not converged, although nothing failed. And whether the catalog may still be followed: an agent that
# reaches no server takes the last one again and again.

module PuppetX
  module Virtapi
    # Included by the types that converge something.
    module Evaluated
      TYPES = %i[
        virtapi_ceph_cluster virtapi_ceph_keyring virtapi_ceph_mon virtapi_ceph_mgr virtapi_ceph_osd virtapi_ceph_pool virtapi_ceph_secret
        virtapi_bridge virtapi_volume virtapi_snapshots virtapi_domain virtapi_container virtapi_removals
      ].freeze

      # Puppet asks this of a resource exactly when it comes to it.
      def retrieve
        @evaluated = true
        refuse_old_catalog
        refuse
        super
      end

      def converged?
        @evaluated && !noop?
      end

      # The version of the document that the catalog is made of; nil where a site uses a type by itself.
      def document
        catalog && catalog.resources.find { |resource| resource.type == :virtapi_document }
      end

      def refuse_old_catalog
        reason = document && document.too_old
        raise Puppet::Error, reason if reason
      end

      # Raises where the resource is one that this module cannot bring about; nothing is then touched.
      def refuse; end
    end
  end
end
