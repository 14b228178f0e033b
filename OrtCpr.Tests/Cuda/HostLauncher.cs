using System.Reflection;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using OrtCpr.Cuda;
using OrtCpr.CudaKernels;

namespace OrtCpr.Tests.Cuda;

/// <summary>Runs the methods that PTX is made of on the host, a thread for each of a block's, with barriers and shared
/// memory: the kernels of a GPU without one.</summary>
internal sealed class HostLauncher : KernelLauncher, IDisposable
{
    private readonly Context _context = Context.Create(b => b.CPU(CPUDeviceKind.Nvidia));
    private readonly CPUAccelerator _accelerator;
    private readonly Dictionary<string, Delegate> _kernels = new(StringComparer.Ordinal);

    public HostLauncher() => _accelerator = _context.CreateCPUAccelerator(0, CPUAcceleratorMode.Parallel);

    public override string? Provider => null;

    public override int BlockSize => 32;

    /// <summary>How often each kernel was started.</summary>
    public Dictionary<string, int> Launches { get; } = new(StringComparer.Ordinal);

    public override void Launch<T>(string kernel, nint blocks, in T operands, nint context)
    {
        if (blocks == 0) return;
        Launches[kernel] = Launches.GetValueOrDefault(kernel) + 1;
        if (!_kernels.TryGetValue(kernel, out Delegate? loaded))
        {
            MethodInfo method = KernelCompiler.Kernels.Single(k => k.Name == kernel);
            _kernels[kernel] = loaded = _accelerator.LoadStreamKernel(method.CreateDelegate<Action<T>>());
        }
        ((Action<KernelConfig, T>)loaded)(new KernelConfig((int)blocks, BlockSize), operands);
        _accelerator.Synchronize();
    }

    public override unsafe nint Allocate(nint bytes) => (nint)NativeMemory.AlignedAlloc((nuint)Math.Max(bytes, 1), 256);

    public override unsafe void Free(nint address) => NativeMemory.AlignedFree((void*)address);

    public void Dispose()
    {
        _accelerator.Dispose();
        _context.Dispose();
    }
}
