#!/busybox sh
# init.sh: /init of the check boot-userland. It reports as boot/init.c does, and runs the programs of
# busybox: pipes, subshells, here-documents, background jobs, traps, arithmetic, files, sed, awk, sort.
PATH=/
b=/busybox
$b mkdir -p /proc /sys /dev /tmp
if [ ! -c /dev/console ]; then $b mknod /dev/console c 5 1; fi
exec < /dev/console > /dev/console 2>&1
$b mount -t proc proc /proc
$b dmesg -n 1
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
report() { $b printf '\ncrossmill: %s\n' "$*"; }
report 'init runs'
report "version $($b cat /proc/version)"
if [ -f /sys/kernel/btf/vmlinux ]; then report "btf $($b stat -c %s /sys/kernel/btf/vmlinux)"; else report 'btf none'; fi

# shellcheck disable=SC2046 # three lines become three words
report "shell pipe" $($b printf '3\n1\n2\n' | $b sort -r)
report "shell arithmetic $((6 * 7)) $(( (1 << 40) / 3 ))"
report "shell awk $($b seq 1 100 | $b awk '{ s += $1; q += $1 * $1 } END { printf "%d %d %.4f", s, q, sqrt(q) }')"
$b cat > /tmp/text << END
alpha beta
gamma delta
END
report "shell sed $($b sed -n 's/^\(g[a-z]*\) \(.*\)/\2 \1/p' /tmp/text)"
($b sleep 1; echo late > /tmp/late) &
wait $!
report "shell wait $($b cat /tmp/late)"
trap 'report "shell trap"' USR1
$b kill -USR1 $$
$b dd if=/dev/zero of=/tmp/zero bs=1024 count=256 2> /tmp/dd
report "shell file $($b wc -c < /tmp/zero) $($b sha256sum /tmp/zero | $b cut -c 1-16)"
$b gzip -c /tmp/zero | $b gunzip -c | $b cmp - /tmp/zero && report 'shell gzip equal'
report "shell date $($b date -u -d @1767225600 +%Y-%m-%dT%H:%M:%S)"
report "shell machine $($b uname -s) $($b uname -m)"
case " $1 " in
  *' restart '*) report 'ends by a restart'; $b sleep 1; $b reboot -f ;;
  *) report 'ends by switching off'; $b sleep 1; $b poweroff -f ;;
esac
report 'cannot end the machine'
