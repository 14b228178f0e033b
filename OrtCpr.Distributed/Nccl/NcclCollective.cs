using System.Runtime.InteropServices;
using OrtCpr.Cuda;
using OrtCpr.Graph;

namespace OrtCpr.Distributed;

/// <summary>The GPUs of several processes, one each, over NVIDIA's NCCL (libnccl.so.2, Linux): gradients go from GPU to GPU.</summary>
/// <remarks>NCCL needs another collective to find the others, such as <see cref="MpiCollective"/>; barriers and aborts are its too. Calls
/// are
/// put on the stream that is given, and return before they are done.</remarks>
public sealed unsafe class NcclCollective : ICollective
{
    private const string Library = "libnccl.so.2";
    private const int Sum = 0, UInt8 = 1;

    /// <summary>NCCL's numbers of types (nccl.h, ncclDataType_t).</summary>
    private static readonly Dictionary<ElementType, int> Types = new()
    {
        [ElementType.Int32] = 2,
        [ElementType.Int64] = 4,
        [ElementType.Float16] = 6,
        [ElementType.Float] = 7,
        [ElementType.Double] = 8,
        [ElementType.BFloat16] = 9,
    };

    private readonly ICollective _processes;
    private readonly nint _library, _communicator, _context;
    private readonly int _device;
    private readonly delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int> _allReduce;
    private readonly delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int> _reduceScatter;
    private readonly delegate* unmanaged<nint, nint, nuint, int, nint, nint, int> _allGather;
    private readonly delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int> _broadcast;
    private bool _disposed;

    /// <summary>Joins the GPUs of all processes.</summary>
    /// <param name="processes">The processes; stays the caller's and must outlive this.</param>
    /// <param name="device">Number of the GPU of this process, as in <c>cuda:N</c>; another one in each process of a machine.</param>
    /// <exception cref="CollectiveException">NCCL is missing or reports an error.</exception>
    /// <exception cref="DeviceException">There is no NVIDIA driver or no such GPU.</exception>
    public NcclCollective(ICollective processes, int device)
    {
        ArgumentNullException.ThrowIfNull(processes);
        _processes = processes;
        _device = device;
        if (!NativeLibrary.TryLoad(Library, out _library))
        {
            throw new CollectiveException($"NVIDIA's {Library} is not found. Install NCCL (Debian and Ubuntu with NVIDIA's repository: "
                + "apt-get install libnccl2) and put its folder into LD_LIBRARY_PATH, or exchange through the host with MpiCollective.");
        }
        _allReduce = (delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int>)Function("ncclAllReduce");
        _reduceScatter = (delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int>)Function("ncclReduceScatter");
        _allGather = (delegate* unmanaged<nint, nint, nuint, int, nint, nint, int>)Function("ncclAllGather");
        _broadcast = (delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int>)Function("ncclBroadcast");
        _context = CudaDriver.Instance.RetainContext(device);
        CudaDriver.Instance.SetContext(_context);
        UniqueId id = default;
        if (Rank == 0) Check(((delegate* unmanaged<UniqueId*, int>)Function("ncclGetUniqueId"))(&id), "ncclGetUniqueId");
        processes.Broadcast((nint)(&id), sizeof(UniqueId));
        nint communicator;
        Check(((delegate* unmanaged<nint*, int, UniqueId, int, int>)Function("ncclCommInitRank"))(&communicator, Size, id, Rank),
            "ncclCommInitRank");
        _communicator = communicator;
    }

    /// <inheritdoc/>
    public int Rank => _processes.Rank;

    /// <inheritdoc/>
    public int Size => _processes.Size;

    /// <inheritdoc/>
    public bool IsOnDevice => true;

    /// <inheritdoc/>
    public void AllReduce(nint address, long elements, ElementType type, nint stream = 0) =>
        Check(_allReduce(address, address, (nuint)elements, TypeOf(type), Sum, Ready(), stream), "ncclAllReduce");

    /// <inheritdoc/>
    public void ReduceScatter(nint source, nint target, long elements, ElementType type, nint stream = 0) =>
        Check(_reduceScatter(source, target, (nuint)elements, TypeOf(type), Sum, Ready(), stream), "ncclReduceScatter");

    /// <inheritdoc/>
    public void AllGather(nint source, nint target, long bytes, nint stream = 0) =>
        Check(_allGather(source, target, (nuint)bytes, UInt8, Ready(), stream), "ncclAllGather");

    /// <inheritdoc/>
    public void Broadcast(nint address, long bytes, int root = 0, nint stream = 0) =>
        Check(_broadcast(address, address, (nuint)bytes, UInt8, root, Ready(), stream), "ncclBroadcast");

    /// <inheritdoc/>
    public void Barrier() => _processes.Barrier();

    /// <inheritdoc/>
    public void Abort(int code)
    {
        _ = ((delegate* unmanaged<nint, int>)Function("ncclCommAbort"))(_communicator);
        _processes.Abort(code);
    }

    /// <summary>Leaves the GPUs; the processes stay the caller's.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        if (_communicator != 0) _ = ((delegate* unmanaged<nint, int>)Function("ncclCommDestroy"))(_communicator);
        CudaDriver.Instance.ReleaseContext(_device);
    }

    /// <summary>The communicator, with the GPU's context on this thread.</summary>
    private nint Ready()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        CudaDriver.Instance.SetContext(_context);
        return _communicator;
    }

    private static int TypeOf(ElementType type) => Types.TryGetValue(type, out int known) ? known
        : throw new CollectiveException($"Tensors of {type} are not added by NCCL; expected {string.Join(", ", Types.Keys)}.");

    private nint Function(string name) => NativeLibrary.TryGetExport(_library, name, out nint address) ? address
        : throw new CollectiveException($"{Library} has no function {name}; expected NCCL 2.10 or later.");

    private void Check(int error, string function)
    {
        if (error == 0) return;
        nint text = ((delegate* unmanaged<int, nint>)Function("ncclGetErrorString"))(error);
        throw new CollectiveException($"{function} reports an error on rank {Rank} of {Size}: {Marshal.PtrToStringUTF8(text)}. "
            + "NCCL_DEBUG=INFO makes it tell more.");
    }

    /// <summary>ncclUniqueId, which NCCL takes by value.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 128)]
    private struct UniqueId
    {
    }
}
