# The OpenCL implementations beside PoCL that the tests run on. Sourced by .ci/run and .ci/full after scripts/setup.sh.
# None becomes a platform of the machine's own: each is loaded through OCL_ICD_VENDORS for single commands only.

platforms=$PWD/build-platforms

# unpack PLATFORM PACKAGE...: beside the tree, so that the loader's default platforms stay as they are.
unpack() {
    mkdir -p "$platforms/$1/debs"
    (cd "$platforms/$1/debs" && shift && apt-get download -qq "$@" && for package in *.deb; do dpkg -x "$package" ../root; done)
}

intel_install() {
    [ -f "$platforms/intel/lib/libintelocl.so" ] || { python3 -m venv "$platforms/intel" && "$platforms/intel/bin/pip" install -q --no-deps intel-opencl-rt tbb intel-cmplr-lib-rt; }
    rm -f "$platforms"/intel/lib/libOpenCL.so* # Intel's loader knows no layers, which the tests put between: the machine's serves
    mkdir -p "$platforms/icd-intel"
    echo "$platforms/intel/lib/libintelocl.so" > "$platforms/icd-intel/intel.icd"
}

rusticl_install() {
    install_missing libclc-14 libclc-14-dev libclang-cpp15 libllvm15 libdrm2 libelf1 libexpat1 libsensors5 libzstd1
    [ -f "$platforms/rusticl/root/usr/lib/x86_64-linux-gnu/libRusticlOpenCL.so.1" ] || unpack rusticl mesa-opencl-icd libclc-15 libclc-15-dev libllvmspirvlib15
    mkdir -p "$platforms/icd-rusticl"
    echo "$platforms/rusticl/root/usr/lib/x86_64-linux-gnu/libRusticlOpenCL.so.1" > "$platforms/icd-rusticl/rusticl.icd"
}

# nvidia_tool PROGRAM PACKAGE: prints where it is; from PyPI where the machine has none.
nvidia_tool() {
    command -v "$1" && return
    [ -x "$platforms/nvidia/bin/pip" ] || python3 -m venv "$platforms/nvidia" || return
    find "$platforms/nvidia" -type f -name "$1" | grep . && return
    "$platforms/nvidia/bin/pip" install -q --no-deps "$2" && find "$platforms/nvidia" -type f -name "$1" | grep .
}

# The vendors' compilers for GPUs, for tests/vendor/report.py, which finds them by these variables.
vendor_install() {
    install_missing clang-14 libclc-14 libclc-14-dev
    [ -x "$platforms/vendor/root/usr/bin/iga64" ] || unpack vendor intel-opencl-icd libigc-tools libigc1 libigdfcl1 libigdgmm12 libllvmspirvlib14 libopencl-clang14 || return
    VENDOR_PREFIX=$platforms/vendor/root && PTXAS=$(nvidia_tool ptxas nvidia-cuda-nvcc-cu12) && NVDISASM=$(nvidia_tool nvdisasm nvidia-cuda-nvdisasm) && export VENDOR_PREFIX PTXAS NVDISASM
}

# CLATTN_TEST_CACHE: the kernels of the tests go into clattn's own cache.
on_intel() {
    env CLATTN_TEST_CACHE=1 LD_LIBRARY_PATH="$platforms/intel/lib" OCL_ICD_VENDORS="$platforms/icd-intel" "$@"
}

on_rusticl() {
    env CLATTN_TEST_CACHE=1 LD_LIBRARY_PATH="$platforms/rusticl/root/usr/lib/x86_64-linux-gnu" OCL_ICD_VENDORS="$platforms/icd-rusticl" RUSTICL_ENABLE=llvmpipe "$@"
}

# expect_device NAME COMMAND...: the tool, run so, sees a device whose line has that name.
expect_device() {
    name=$1
    shift
    "$@" devices | grep -qi "$name" || { echo "platforms: no device of $name" >&2; return 1; }
}
