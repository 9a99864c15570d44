#!/bin/sh
# Brings a git of 2.48 or newer beside the system's, for the tests that need one; prints the folder that holds it:
#   NEWGIT=$(tests/fetch_newgit.sh) && export NEWGIT
# A git on PATH that is new enough is taken as it is. Otherwise Debian's newest is unpacked into a folder of its own
# ($GITRELAY_NEWGIT, default ~/.cache/gitrelay-newgit), with the libraries it needs; nothing is installed, and the
# machine's own apt settings stay as they are. It needs apt-get and dpkg-deb, and no root.
set -eu

least=2.48
new_enough() {  # PROGRAM
    "$1" --version 2>/dev/null | awk -v least=$least '
        BEGIN { split(least, want, ".") }
        { split($3, have, ".") }
        END { exit !(have[1] > want[1] || (have[1] == want[1] && have[2] + 0 >= want[2])) }'
}
found=$(command -v git || true)
if [ -n "$found" ] && new_enough "$found"; then
    dirname "$found"
    exit
fi
folder=${GITRELAY_NEWGIT:-${XDG_CACHE_HOME:-$HOME/.cache}/gitrelay-newgit}
if new_enough "$folder/bin/git"; then
    echo "$folder/bin"
    exit
fi
for tool in apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || {
        echo "fetch_newgit.sh: $tool not found: set NEWGIT to a folder that holds a git of $least or newer" >&2
        exit 1
    }
done

mkdir -p "$(dirname "$folder")"
work=$(mktemp -d "$folder.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/etc/apt.conf.d" "$work/etc/preferences.d" "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
keys=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keys] http://deb.debian.org/debian sid main" >"$work/etc/sources.list"
: >"$work/status"
private() {
    tool=$1
    shift
    "$tool" -qq -o Dir::Etc="$work/etc" -o Dir::State="$work" -o Dir::State::lists="$work/lists" \
        -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@" >&2
}
private apt-get update
(cd "$work" && private apt-get download git libc6 libpcre2-8-0 zlib1g)
for package in "$work"/*.deb; do
    dpkg-deb -x "$package" "$work/root"
done

# One script runs git with its own libraries, under the name git and as every git-NAME of the exec path. It calls the
# loader by its path, because git was built with a newer C library than the system's. Taken over are scripts and
# built-in commands only: git-remote-https and the like would need more libraries.
new=$work/new
mkdir -p "$new/bin" "$new/lib" "$new/core"
loader=$(find "$work/root" -name 'ld-linux-*.so.*' | head -n 1)
cp "$loader" "$new/lib/loader"
cp "$(dirname "$(find "$work/root" -name libc.so.6 | head -n 1)")"/*.so.* "$new/lib/"
for library in libpcre2-8.so.0 libz.so.1; do
    cp -L "$(find "$work/root" -name "$library" | head -n 1)" "$new/lib/$library"
done
cat >"$new/bin/git" <<SCRIPT
#!/bin/sh
export GIT_EXEC_PATH='$folder/core'
name=\${0##*/}
[ -e '$folder/lib/'"\$name" ] || { set -- "\${name#git-}" "\$@"; name=git; }
exec '$folder/lib/loader' --argv0 "\$name" --library-path '$folder/lib' '$folder/lib/'"\$name" "\$@"
SCRIPT
chmod +x "$new/bin/git"
core=$work/root/usr/lib/git-core
cp "$work/root/usr/bin/git" "$core/git-sh-i18n--envsubst" "$new/lib/"
for program in "$core"/*; do
    name=${program##*/}
    if [ -e "$new/lib/$name" ] || cmp -s "$program" "$new/lib/git" 2>/dev/null; then
        ln -s ../bin/git "$new/core/$name"
    elif [ -d "$program" ] || ! head -c 4 "$program" | grep -q ELF; then
        cp -RL "$program" "$new/core/$name"
    fi
done
for name in git-receive-pack git-upload-pack git-upload-archive; do  # what a push or fetch starts at the other end
    ln -s git "$new/bin/$name"
done
rm -rf "$folder"
mv "$new" "$folder"
new_enough "$folder/bin/git" || {
    echo "fetch_newgit.sh: $folder/bin/git does not run, or is older than $least" >&2
    exit 1
}
echo "$folder/bin"
