namespace OrtCpr.Cuda;

/// <summary>Runs kernels of <c>OrtCpr.CudaKernels</c> by name, each with one struct of addresses and numbers. On a GPU that is
/// <see cref="CudaLauncher"/>; tests run the same kernels on the host.</summary>
internal abstract class KernelLauncher
{
    /// <summary>The execution provider whose memory the addresses lie in; null for the CPU's.</summary>
    public abstract string? Provider { get; }

    /// <summary>Threads of a block, a power of two from 32 to <see cref="MostThreads"/>.</summary>
    public abstract int BlockSize { get; }

    /// <summary>What kernels reserve shared memory for.</summary>
    public const int MostThreads = 256;

    /// <summary>Starts a kernel after what was started before on the stream of a running node.</summary>
    /// <param name="kernel">Its method.</param>
    /// <param name="blocks">How many blocks; none runs nothing.</param>
    /// <param name="operands">What it works on.</param>
    /// <param name="context">OrtKernelContext of the node.</param>
    public abstract void Launch<T>(string kernel, nint blocks, in T operands, nint context) where T : unmanaged;

    /// <summary>Memory where the operands lie, for <see cref="Free"/>; contents undefined.</summary>
    public abstract nint Allocate(nint bytes);

    /// <summary>Gives memory back.</summary>
    public abstract void Free(nint address);
}
