# Installs what is missing on Debian 12 or Ubuntu 24.04 and builds. Sourced by ./demo, ./check and .ci/run.
# Never asks a question; uses sudo when not root.

build_packages="gcc libc6-dev meson ninja-build pkg-config python3 ocl-icd-opencl-dev opencl-headers libxxhash-dev libclblast-dev libjansson-dev libzip-dev libpng-dev libjpeg-dev libcairo2-dev"
run_packages="pocl-opencl-icd fonts-dejavu-core"
test_packages="libcriterion-dev g++"

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# install_missing PACKAGE...: quiet when all are there
install_missing() {
    missing=""
    for package in "$@"; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
    done
    [ -z "$missing" ] && return 0
    echo "Installing:$missing"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# build DIRECTORY [MESON OPTION...]: configures once, then compiles
build() {
    directory=$1
    shift
    if [ -f "$directory/build.ninja" ]; then meson configure "$directory" "$@" >/dev/null; else meson setup "$directory" "$@" >/dev/null; fi
    ninja -C "$directory"
}
