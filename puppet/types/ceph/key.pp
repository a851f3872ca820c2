# @summary A key of Ceph, as `ceph-authtool --gen-print-key` makes it.
type Virtapi::Ceph::Key = Pattern[/\A[A-Za-z0-9+\/]{38}==\z/]
