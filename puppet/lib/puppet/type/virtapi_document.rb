# Tells the server which version of the document was applied.
require 'json'
require_relative '../../puppet_x/virtapi/evaluated'

Puppet::Type.newtype(:virtapi_document) do
  @doc = <<-DOC
    Tells, in the log of the run and so in its report, which version of the node's document was applied. It comes after
    everything that this module manages, and is skipped when any of that failed. It tells nothing when something was
    left out (by tags, by a schedule, by noop), and it is never a change.
  DOC

  newparam(:certname, namevar: true) do
    desc "The node's certname."
  end

  newparam(:meta) do
    desc "The document's version: `virtapi::meta`."
    validate { |value| raise ArgumentError, 'meta must be the hash virtapi::meta' unless value.is_a?(Hash) }
  end

  newparam(:compiled_at) do
    desc 'When the catalog was compiled, in seconds since 1970.'
    validate { |value| raise ArgumentError, 'compiled_at must be a number of seconds' unless value.is_a?(Integer) }
  end

  newparam(:max_age) do
    desc 'For how many seconds it may be applied.'
    validate { |value| raise ArgumentError, 'max_age must be a number of seconds' unless value.is_a?(Integer) }
  end

  newproperty(:applied) do
    desc 'Always in sync: looking at it is what tells.'
    defaultto :true

    def retrieve
      :unknown
    end

    def insync?(_is)
      resource.tell
      true
    end
  end

  validate { raise ArgumentError, 'meta must be given' unless self[:meta] }

  PuppetX::Virtapi::Evaluated::TYPES.each do |type|
    autorequire(type) { catalog.resources.select { |resource| resource.type == type }.map(&:title) }
  end

  # Why nothing of this catalog may be done any more; nil when it may. A clock that was set back proves nothing.
  def too_old
    return unless self[:compiled_at] && self[:max_age]

    age = Time.now.to_i - self[:compiled_at]
    "the catalog is #{age} s old, and what virtapi says is followed for #{self[:max_age]} s" if age > self[:max_age]
  end

  def tell
    raise Puppet::Error, too_old if too_old
    return if noop?

    managed = catalog.resources.select { |resource| PuppetX::Virtapi::Evaluated::TYPES.include?(resource.type) }
    left_out = managed.reject(&:converged?)
    if left_out.empty?
      notice("virtapi: #{JSON.generate('applied' => self[:meta])}")
    else
      info("not applied as a whole: #{left_out.map(&:ref).join(', ')} left out of this run")
    end
  end
end
