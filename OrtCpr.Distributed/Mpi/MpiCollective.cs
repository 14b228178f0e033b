using OrtCpr.Graph;

namespace OrtCpr.Distributed;

/// <summary>The processes that <c>mpirun</c>, <c>mpiexec</c> or <c>srun</c> has started, over the MPI library that belongs to it: Open
/// MPI 4
/// or 5, or one with MPICH's binary interface (MPICH, Intel MPI). Linux and macOS.</summary>
/// <remarks>One object a process. Tensors of a GPU go through the host's memory.</remarks>
public sealed class MpiCollective : ICollective
{
    /// <summary>MPI counts in 32 bits.</summary>
    private const long MostElements = 1 << 28;

    /// <summary>Bytes that are added up in one call. Within a machine Open MPI's calls of 64 MB took ten times as long a megabyte as those
    /// of 4 MB, which stay in the processors' caches (docs/scaling.md).</summary>
    private const long ChunkBytes = 4 << 20;

    private readonly Mpi.MpiLibrary _mpi;
    private bool _isBroken, _disposed;

    private MpiCollective(Mpi.MpiLibrary mpi)
    {
        _mpi = mpi;
        // A rank that is lost leaves the others waiting for it.
        AppDomain.CurrentDomain.UnhandledException += OnUnhandled;
    }

    /// <inheritdoc/>
    public int Rank => _mpi.Rank;

    /// <inheritdoc/>
    public int Size => _mpi.Size;

    /// <inheritdoc/>
    public bool IsOnDevice => false;

    /// <summary>Name and version of the library.</summary>
    public string LibraryVersion => _mpi.Version;

    /// <summary>Starts MPI in this process. A program that no launcher has started is rank 0 of 1.</summary>
    /// <exception cref="CollectiveException">There is no MPI library, or it is not that of the launcher.</exception>
    public static MpiCollective Open() => new(Mpi.MpiLibrary.Open());

    /// <inheritdoc/>
    public void AllReduce(nint address, long elements, ElementType type, nint stream = 0) => Guarded(() =>
    {
        int size = type.BitsPerElement() / 8;
        long chunk = ChunkBytes / size;
        for (long at = 0; at < elements; at += chunk)
            _mpi.AllReduce(address + (nint)(at * size), (int)Math.Min(chunk, elements - at), type);
    });

    /// <inheritdoc/>
    public void ReduceScatter(nint source, nint target, long elements, ElementType type, nint stream = 0)
    {
        RefuseLength(elements, "elements of a part");
        Guarded(() => _mpi.ReduceScatter(source, target, (int)elements, type));
    }

    /// <inheritdoc/>
    public void AllGather(nint source, nint target, long bytes, nint stream = 0)
    {
        RefuseLength(bytes, "bytes of a part");
        Guarded(() => _mpi.AllGather(source, target, (int)bytes));
    }

    /// <inheritdoc/>
    public void Broadcast(nint address, long bytes, int root = 0, nint stream = 0) => Guarded(() =>
    {
        for (long at = 0; at < bytes; at += ChunkBytes)
            _mpi.Broadcast(address + (nint)at, (int)Math.Min(ChunkBytes, bytes - at), root);
    });

    /// <inheritdoc/>
    public void Barrier() => Guarded(_mpi.Barrier);

    /// <inheritdoc/>
    public void Abort(int code) => _mpi.Abort(code);

    /// <summary>Waits for all ranks and ends MPI. After an error of a call it ends the other ranks, which would wait for ever.</summary>
    /// <remarks>A program that leaves early for a reason of its own calls <see cref="Abort"/> instead, as <see
    /// cref="DistributedProgram.Run"/>
    /// does: the other ranks may be waiting in a call that this one never makes.</remarks>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        AppDomain.CurrentDomain.UnhandledException -= OnUnhandled;
        if (_isBroken) _mpi.Abort(1);
        else _mpi.Finish();
    }

    private static void RefuseLength(long length, string what)
    {
        if (length > MostElements) throw new CollectiveException($"{length} {what} are too many for a call; at most {MostElements}.");
    }

    private void Guarded(Action call)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        try
        {
            call();
        }
        catch
        {
            _isBroken = true;
            throw;
        }
    }

    private void OnUnhandled(object sender, UnhandledExceptionEventArgs error)
    {
        Console.Error.WriteLine($"rank {Rank} of {Size}: {error.ExceptionObject}");
        _mpi.Abort(1);
    }
}
