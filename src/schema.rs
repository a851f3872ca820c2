//! The tables, as the migrations make them. Written by a test: `UPDATE_SCHEMA=1 cargo test schema`.

diesel::table! {
    addresses (id) {
        id -> Int8,
        ip -> Inet,
        interface_id -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    audit_events (id) {
        id -> Int8,
        happened_at -> Timestamptz,
        actor -> Text,
        token_id -> Nullable<Int8>,
        address -> Nullable<Inet>,
        request -> Nullable<Text>,
        action -> Text,
        collection -> Nullable<Text>,
        object_id -> Nullable<Int8>,
        object_key -> Nullable<Text>,
        message -> Nullable<Text>,
        before -> Nullable<Json>,
        after -> Nullable<Json>,
        times -> Int8,
        detail -> Nullable<Text>,
    }
}

diesel::table! {
    bonds (id) {
        id -> Int8,
        node_id -> Int8,
        name -> Text,
        mode -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    broker_leases (is_only) {
        is_only -> Bool,
        holder -> Nullable<Uuid>,
        leased_until -> Timestamptz,
    }
}

diesel::table! {
    broker_messages (id) {
        id -> Int8,
        event_id -> Uuid,
        routing_key -> Text,
        body -> Text,
        happened_at -> Timestamptz,
    }
}

diesel::table! {
    cache_options (id) {
        id -> Int8,
        name -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    ceph_clusters (id) {
        id -> Int8,
        name -> Text,
        fsid -> Uuid,
        public_network -> Nullable<Cidr>,
        cluster_network -> Nullable<Cidr>,
        generation -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    ceph_mons (id) {
        id -> Int8,
        node_id -> Int8,
        cluster_id -> Int8,
        name -> Nullable<Text>,
        address -> Inet,
        port -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    ceph_osds (id) {
        id -> Int8,
        node_id -> Int8,
        cluster_id -> Int8,
        uuid -> Uuid,
        device -> Text,
        db_device -> Nullable<Text>,
        device_class -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    ceph_pools (id) {
        id -> Int8,
        name -> Text,
        cluster_id -> Int8,
        size -> Int4,
        min_size -> Int4,
        pg_num -> Int4,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    compiler_nodes (compiler_id, node_id) {
        compiler_id -> Int8,
        node_id -> Int8,
    }
}

diesel::table! {
    compilers (id) {
        id -> Int8,
        name -> Text,
        serves -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        certname -> Nullable<Text>,
        node_filter -> Nullable<Text>,
    }
}

diesel::table! {
    deleted_vms (id) {
        id -> Int8,
        uuid -> Uuid,
        name -> Text,
        environment_id -> Nullable<Int8>,
        organization_id -> Nullable<Int8>,
        object -> Json,
        deleted_at -> Timestamptz,
        gone_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    deleted_vms_with_status (id) {
        id -> Int8,
        uuid -> Uuid,
        name -> Text,
        environment_id -> Nullable<Int8>,
        lifecycle -> Text,
        failure -> Nullable<Text>,
        object -> Json,
        deleted_at -> Timestamptz,
        gone_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    environments (id) {
        id -> Int8,
        organization_id -> Int8,
        name -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        placement -> Text,
    }
}

diesel::table! {
    events (id) {
        id -> Int8,
        transaction -> Int8,
        node_id -> Nullable<Int8>,
        cluster_id -> Nullable<Int8>,
        recorded_at -> Timestamptz,
    }
}

diesel::table! {
    events_forgotten (is_only) {
        is_only -> Bool,
        transaction -> Int8,
    }
}

diesel::table! {
    flavors (id) {
        id -> Int8,
        name -> Text,
        cores -> Int4,
        ram_bytes -> Int8,
        disk_bytes -> Int8,
        virt_method_id -> Int8,
        storage_type_id -> Int8,
        ceph_pool_id -> Nullable<Int8>,
        iops -> Nullable<Int4>,
        disk_bps -> Nullable<Int8>,
        gpu_model -> Nullable<Text>,
        gpu_count -> Int4,
        labels -> Array<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    floating_ips (id) {
        id -> Int8,
        ip -> Nullable<Inet>,
        subnet_id -> Nullable<Int8>,
        environment_id -> Int8,
        vm_id -> Nullable<Int8>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    gpus (id) {
        id -> Int8,
        hypervisor_id -> Int8,
        address -> Text,
        model -> Text,
        vm_id -> Nullable<Int8>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    hypervisor_ceph_clusters (hypervisor_id, ceph_cluster_id) {
        hypervisor_id -> Int8,
        ceph_cluster_id -> Int8,
    }
}

diesel::table! {
    hypervisor_networks (hypervisor_id, network_id) {
        hypervisor_id -> Int8,
        network_id -> Int8,
    }
}

diesel::table! {
    hypervisor_usage (hypervisor_id) {
        hypervisor_id -> Int8,
        vms -> Int4,
        cores -> Numeric,
        ram_bytes -> Numeric,
        local_bytes -> Numeric,
        iops -> Numeric,
        disk_bps -> Numeric,
        free_ram_bytes -> Numeric,
    }
}

diesel::table! {
    hypervisor_virt_methods (hypervisor_id, virt_method_id) {
        hypervisor_id -> Int8,
        virt_method_id -> Int8,
    }
}

diesel::table! {
    hypervisors (id) {
        id -> Int8,
        node_id -> Int8,
        local_storage_bytes -> Nullable<Int8>,
        local_storage_path -> Nullable<Text>,
        vg_name -> Nullable<Text>,
        cores -> Int4,
        ram_bytes -> Int8,
        cpu_overcommit_ratio -> Float8,
        ram_overcommit_ratio -> Float8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        reserved_cores -> Int4,
        reserved_ram_bytes -> Int8,
        iops -> Nullable<Int4>,
        disk_bps -> Nullable<Int8>,
        labels -> Array<Text>,
    }
}

diesel::table! {
    idempotency_keys (key) {
        key -> Text,
        request_digest -> Text,
        answer -> Nullable<Json>,
        created_at -> Timestamptz,
    }
}

diesel::table! {
    images (id) {
        id -> Int8,
        name -> Text,
        format -> Text,
        path -> Text,
        size_bytes -> Int8,
        checksum -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    interface_vlans (interface_id, vlan_id) {
        interface_id -> Int8,
        vlan_id -> Int8,
    }
}

diesel::table! {
    interfaces (id) {
        id -> Int8,
        mac -> Macaddr,
        name -> Nullable<Text>,
        node_id -> Nullable<Int8>,
        vm_id -> Nullable<Int8>,
        bond_id -> Nullable<Int8>,
        bridge -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    ip_claims (ip) {
        ip -> Inet,
        held_node_id -> Nullable<Int8>,
        held_generation -> Nullable<Int8>,
    }
}

diesel::table! {
    keys (id) {
        id -> Int8,
        environment_id -> Int8,
        name -> Text,
        public_key -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    memberships (id) {
        id -> Int8,
        organization_id -> Int8,
        user_id -> Int8,
        role -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    networks (id) {
        id -> Int8,
        name -> Text,
        cidr -> Nullable<Cidr>,
        mtu -> Nullable<Int4>,
        vlan_id -> Nullable<Int8>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        audience -> Text,
        environment_id -> Nullable<Int8>,
    }
}

diesel::table! {
    node_approvals (node_id) {
        node_id -> Int8,
        generation -> Int8,
        approved_at -> Timestamptz,
    }
}

diesel::table! {
    node_facts (id) {
        id -> Int8,
        node_id -> Int8,
        received_at -> Timestamptz,
        facts -> Json,
    }
}

diesel::table! {
    node_observations (node_id) {
        node_id -> Int8,
        last_report -> Nullable<Timestamptz>,
        last_run_id -> Nullable<Int8>,
        has_failed -> Bool,
        applied_generation -> Nullable<Int8>,
        applied_clusters -> Nullable<Jsonb>,
        observed -> Nullable<Jsonb>,
        amiss -> Jsonb,
    }
}

diesel::table! {
    node_states (id) {
        id -> Int8,
        name -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    nodes (id) {
        id -> Int8,
        fqdn -> Text,
        location -> Nullable<Text>,
        state_id -> Int8,
        environment -> Nullable<Text>,
        parameters -> Json,
        management_network_id -> Nullable<Int8>,
        storage_network_id -> Nullable<Int8>,
        backup_network_id -> Nullable<Int8>,
        desired_generation -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    nodes_with_status (id) {
        id -> Int8,
        fqdn -> Text,
        location -> Nullable<Text>,
        state_id -> Int8,
        status -> Text,
        environment -> Nullable<Text>,
        parameters -> Json,
        management_network_id -> Nullable<Int8>,
        storage_network_id -> Nullable<Int8>,
        backup_network_id -> Nullable<Int8>,
        desired_generation -> Int8,
        applied_generation -> Nullable<Int8>,
        last_report -> Nullable<Timestamptz>,
        observed -> Nullable<Json>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    organizations (id) {
        id -> Int8,
        name -> Text,
        full_name -> Nullable<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    pending_actions (vm_id) {
        vm_id -> Int8,
        action -> Text,
        generation -> Int8,
    }
}

diesel::table! {
    pending_restores (volume_id) {
        volume_id -> Int8,
        generation -> Int8,
    }
}

diesel::table! {
    placement_groups (id) {
        id -> Int8,
        environment_id -> Int8,
        name -> Text,
        policy -> Text,
        scope -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    profiles (id) {
        id -> Int8,
        environment_id -> Int8,
        name -> Text,
        flavor_id -> Nullable<Int8>,
        image_id -> Nullable<Int8>,
        network_id -> Nullable<Int8>,
        user_data -> Nullable<Text>,
        labels -> Array<Text>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    run_events (id, received_at) {
        id -> Int8,
        run -> Int8,
        node -> Text,
        resource -> Text,
        property -> Nullable<Text>,
        status -> Text,
        message -> Nullable<Text>,
        received_at -> Timestamptz,
    }
}

diesel::table! {
    runs (id, received_at) {
        id -> Int8,
        node -> Text,
        tool -> Text,
        run -> Text,
        started_at -> Timestamptz,
        duration_seconds -> Nullable<Float8>,
        status -> Text,
        mode -> Text,
        environment -> Nullable<Text>,
        version -> Nullable<Text>,
        total -> Int4,
        changed -> Int4,
        failed -> Int4,
        out_of_sync -> Int4,
        messages -> Json,
        received_at -> Timestamptz,
    }
}

diesel::table! {
    security_rules (id) {
        id -> Int8,
        uuid -> Uuid,
        vm_id -> Int8,
        direction -> Text,
        ethertype -> Text,
        protocol -> Text,
        port_range_min -> Nullable<Int4>,
        port_range_max -> Nullable<Int4>,
        remote_ip_prefix -> Nullable<Cidr>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    sessions (digest) {
        digest -> Bytea,
        user_id -> Int8,
        token_id -> Nullable<Int8>,
        address -> Nullable<Inet>,
        created_at -> Timestamptz,
        last_used_at -> Timestamptz,
        expires_at -> Timestamptz,
    }
}

diesel::table! {
    signing_secrets (id) {
        id -> Int8,
        webhook_id -> Nullable<Int8>,
        organization_id -> Nullable<Int8>,
        secret -> Text,
        issued_at -> Timestamptz,
    }
}

diesel::table! {
    snapshots (id) {
        id -> Int8,
        volume_id -> Int8,
        name -> Text,
        take_at -> Timestamptz,
        keep_until -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    storage_types (id) {
        id -> Int8,
        name -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    subnets (id) {
        id -> Int8,
        name -> Text,
        network_id -> Int8,
        cidr -> Cidr,
        purpose -> Text,
        gateway -> Nullable<Inet>,
        first -> Nullable<Inet>,
        last -> Nullable<Inet>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    team_users (team_id, user_id) {
        team_id -> Int8,
        user_id -> Int8,
    }
}

diesel::table! {
    teams (id) {
        id -> Int8,
        organization_id -> Int8,
        name -> Text,
        role -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    token_secrets (token_id) {
        token_id -> Int8,
        digest -> Bytea,
        issued_at -> Timestamptz,
    }
}

diesel::table! {
    tokens (id) {
        id -> Int8,
        uuid -> Uuid,
        name -> Text,
        user_id -> Nullable<Int8>,
        node_id -> Nullable<Int8>,
        compiler_id -> Nullable<Int8>,
        scope -> Text,
        source_network -> Nullable<Cidr>,
        expires_at -> Nullable<Timestamptz>,
        prefix -> Nullable<Text>,
        last_used_at -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    tombstone_generations (tombstone_id) {
        tombstone_id -> Int8,
        generation -> Int8,
    }
}

diesel::table! {
    tombstones (id) {
        id -> Int8,
        hypervisor_id -> Int8,
        uuid -> Uuid,
        name -> Nullable<Text>,
        number -> Int8,
        storage_type_id -> Nullable<Int8>,
        ceph_pool_id -> Nullable<Int8>,
        not_before -> Timestamptz,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        size_bytes -> Nullable<Int8>,
    }
}

diesel::table! {
    user_passwords (user_id) {
        user_id -> Int8,
        hash -> Text,
        changed_at -> Timestamptz,
        attempts -> Int4,
        attempted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    users (id) {
        id -> Int8,
        name -> Text,
        full_name -> Nullable<Text>,
        account_type -> Text,
        role -> Nullable<Text>,
        state -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        openid_subject -> Nullable<Text>,
    }
}

diesel::table! {
    virt_methods (id) {
        id -> Int8,
        name -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    vlans (id) {
        id -> Int8,
        name -> Text,
        tag -> Nullable<Int4>,
        vni -> Nullable<Int4>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    vm_keys (vm_id, key_id) {
        vm_id -> Int8,
        key_id -> Int8,
    }
}

diesel::table! {
    vm_states (id) {
        id -> Int8,
        name -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    vm_tellings (vm_id) {
        vm_id -> Int8,
        state -> Text,
    }
}

diesel::table! {
    vms (id) {
        id -> Int8,
        uuid -> Uuid,
        name -> Text,
        cores -> Int4,
        ram_bytes -> Int8,
        cputime_limit -> Nullable<Int4>,
        state_id -> Int8,
        hypervisor_id -> Nullable<Int8>,
        virt_method_id -> Int8,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        environment_id -> Nullable<Int8>,
        flavor_id -> Nullable<Int8>,
        group_id -> Nullable<Int8>,
        labels -> Array<Text>,
        user_data -> Nullable<Text>,
        callback_url -> Nullable<Text>,
        firewall -> Text,
        restarts -> Int4,
    }
}

diesel::table! {
    vms_with_status (id) {
        id -> Int8,
        uuid -> Uuid,
        name -> Text,
        cores -> Int4,
        ram_bytes -> Int8,
        cputime_limit -> Nullable<Int4>,
        state_id -> Int8,
        status -> Text,
        lifecycle -> Text,
        failure -> Nullable<Text>,
        hypervisor_id -> Nullable<Int8>,
        virt_method_id -> Int8,
        environment_id -> Nullable<Int8>,
        flavor_id -> Nullable<Int8>,
        group_id -> Nullable<Int8>,
        labels -> Array<Text>,
        user_data -> Nullable<Text>,
        callback_url -> Nullable<Text>,
        firewall -> Text,
        restarts -> Int4,
        desired_generation -> Nullable<Int8>,
        applied_generation -> Nullable<Int8>,
        last_report -> Nullable<Timestamptz>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    volumes (id) {
        id -> Int8,
        uuid -> Uuid,
        vm_id -> Nullable<Int8>,
        storage_type_id -> Int8,
        cache_option_id -> Int8,
        ceph_pool_id -> Nullable<Int8>,
        image_id -> Nullable<Int8>,
        size_bytes -> Int8,
        read_iops_limit -> Nullable<Int8>,
        write_iops_limit -> Nullable<Int8>,
        read_bps_limit -> Nullable<Int8>,
        write_bps_limit -> Nullable<Int8>,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        environment_id -> Nullable<Int8>,
        lifetime -> Text,
        restores -> Int4,
        restored_from -> Nullable<Text>,
        name -> Nullable<Text>,
    }
}

diesel::table! {
    webhook_deliveries (id) {
        id -> Int8,
        webhook_id -> Nullable<Int8>,
        organization_id -> Nullable<Int8>,
        event_id -> Uuid,
        collection -> Text,
        object_id -> Int8,
        object_key -> Text,
        action -> Text,
        happened_at -> Timestamptz,
        status -> Text,
        attempts -> Int4,
        next_attempt_at -> Nullable<Timestamptz>,
        give_up_at -> Timestamptz,
        last_attempt_at -> Nullable<Timestamptz>,
        answer -> Nullable<Int4>,
        error -> Nullable<Text>,
        url -> Text,
        body -> Json,
        lease -> Nullable<Uuid>,
        leased_until -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    webhooks (id) {
        id -> Int8,
        uuid -> Uuid,
        organization_id -> Nullable<Int8>,
        name -> Text,
        url -> Text,
        kinds -> Array<Text>,
        actions -> Array<Text>,
        labels -> Array<Text>,
        state -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}
