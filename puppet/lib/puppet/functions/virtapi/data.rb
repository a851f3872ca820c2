# A Hiera 5 `data_hash` backend: one question to a virtapi server per compilation, and its whole answer or an error.
#
# Whatever is not a node's complete data raises, an unknown node (404) too: Hiera would go on to the next level with
# "not found", and the run with a catalog that lacks what the node has. There is no kept copy for an outage either:
# a node that gets no catalog keeps what runs.
#
# Puppet's own HTTP client does the work, so that the Puppet CA and the host certificate apply. In puppetserver that
# is another class than in `puppet apply`, with other settings; what differs is in #ask.
#
# The seeds of machines hold secrets: they are Sensitive from here on, so that no log of lookups shows them.
#
# This file runs under Ruby 2.6 (JRuby 9.3 in puppetserver 7) and later.
require 'json'
require 'timeout'

# @summary Read a node's data from a virtapi server.
#
# @example hiera.yaml
#   - name: virtapi
#     data_hash: virtapi::data
#     uri: "https://virtapi.example.com/puppet/hiera/%{trusted.certname}"
#     options:
#       timeout: 10
Puppet::Functions.create_function(:'virtapi::data') do
  # @param options
  #   `uri` from the hierarchy level; `timeout` for the whole question in seconds (default 10); `token_file` with a
  #   bearer token; `headers` to send along; `system_store` to trust the system's certificate authorities as well.
  # @param context What Hiera knows about the lookup.
  # @return [Hash] the node's data by full key
  dispatch :data do
    param 'Struct[{
      uri => Pattern[/\Ahttps?:\/\//],
      Optional[timeout] => Numeric,
      Optional[token_file] => String[1],
      Optional[headers] => Hash[String[1], String],
      Optional[system_store] => Boolean
    }]', :options
    param 'Puppet::LookupContext', :context
    return_type 'Hash[String, RichData]'
  end

  argument_mismatch :wrong_options do
    param 'Hash', :options
    param 'Puppet::LookupContext', :context
  end

  def wrong_options(options, _context)
    "virtapi::data wants a level with one http or https 'uri', and as options only timeout, token_file, headers and " \
      "system_store; it was given #{options.keys.sort.join(', ')}"
  end

  def data(options, context)
    uri = options['uri']
    context.explain { "asking #{uri}" }
    hide_seeds(check(parse(ask(uri, options))))
  rescue Puppet::DataBinding::LookupError => error
    raise Puppet::DataBinding::LookupError, "virtapi: #{uri}: #{one_line(error.message)}"
  end

  private

  # The body of a 200.
  def ask(uri, options)
    seconds = options.fetch('timeout', 10)
    failed("timeout is #{seconds}, and must be positive") unless seconds > 0
    # Not left to the client: puppetserver's is idle for 20 minutes by default, Puppet's for 10.
    response = Timeout.timeout(seconds) do
      client.get(URI(uri), headers: headers(options),
                           options: { redirect_limit: 0, include_system_store: options.fetch('system_store', false) })
    end
    failed('the server answered 404 (unknown node)') if response.code == 404
    failed("the server answered #{response.code}") unless response.code == 200
    type = content_type(response)
    failed("the server answered with content type '#{type}'") unless type =~ %r{\Aapplication/json\s*(;|\z)}i
    response.body
  rescue Timeout::Error
    failed("no answer within #{seconds} s")
  rescue Puppet::HTTP::TooManyRetryAfters
    failed('the server answered 429 or 503')
  rescue Puppet::HTTP::TooManyRedirects
    failed('the server answered with a redirect')
  rescue Puppet::HTTP::HTTPError, Puppet::SSL::SSLError, SystemCallError, URI::InvalidURIError => error
    failed(error.message)
  end

  # Puppet's client sleeps when a 503 says Retry-After, up to a hundred times; so this one may not. Puppetserver's
  # client does not retry, but follows redirects, which cannot be changed from here.
  def client
    runtime = Puppet.runtime[:http]
    return runtime unless runtime.instance_of?(Puppet::HTTP::Client)

    Puppet::HTTP::Client.new(redirect_limit: 0, retry_limit: 0)
  end

  def headers(options)
    # The connection serves one question and must not stay in a pool.
    headers = { 'Accept' => 'application/json', 'Connection' => 'close' }.merge(options.fetch('headers', {}))
    return headers unless options.key?('token_file')

    token = File.read(options['token_file']).strip
    failed("token_file #{options['token_file']} is empty") if token.empty?
    headers.merge('Authorization' => "Bearer #{token}")
  end

  # Puppetserver's answers know their headers in lower case only.
  def content_type(response)
    response.each_header { |name, value| return value.to_s if name.casecmp('content-type').zero? }
    ''
  end

  def parse(body)
    text = body.to_s.dup.force_encoding(Encoding::UTF_8)
    failed('the answer is not UTF-8') unless text.valid_encoding?
    failed('the answer is empty') if text.strip.empty?
    JSON.parse(text)
  rescue JSON::ParserError => error
    failed("the answer is not JSON: #{error.message[0, 100]}")
  end

  def check(data)
    failed('the answer is not a JSON object') unless data.is_a?(Hash)
    failed('the answer has no virtapi::meta') unless data['virtapi::meta'].is_a?(Hash)
    data
  end

  def hide_seeds(data)
    vms = data['virtapi::hypervisor::vms']
    return data unless vms.is_a?(Hash)

    hidden = vms.transform_values do |vm|
      vm.is_a?(Hash) && vm['seed'].is_a?(Hash) ? vm.merge('seed' => sensitive(vm['seed'])) : vm
    end
    data.merge('virtapi::hypervisor::vms' => hidden)
  end

  # Hiera does not look into what is Sensitive: what the server has escaped for it is read here.
  def sensitive(seed)
    plain = seed.transform_values { |text| text.is_a?(String) ? text.gsub("%{literal('%')}{", '%{') : text }
    Puppet::Pops::Types::PSensitiveType::Sensitive.new(plain)
  end

  def failed(reason)
    raise Puppet::DataBinding::LookupError, reason
  end

  def one_line(text)
    text.gsub(/[[:cntrl:]\u2028\u2029]+/, ' ')
  end
end
