using OrtCpr.Graph;

namespace OrtCpr;

/// <summary>The processes of one job, its ranks, and what they do together. Every rank calls the same operations in the same
/// order.</summary>
/// <remarks><c>OrtCpr.Distributed</c> has one over MPI and one over NCCL. Not thread-safe: one call at a time, from any thread. A call
/// returns when its result is in memory; one with a stream may return before, and what follows on that stream sees the
/// result.</remarks>
public interface ICollective : IDisposable
{
    /// <summary>Number of this process, from 0.</summary>
    int Rank { get; }

    /// <summary>Number of processes, at least 1.</summary>
    int Size { get; }

    /// <summary>Whether addresses are of the GPU's memory; else of the host's.</summary>
    bool IsOnDevice { get; }

    /// <summary>Replaces a tensor by the sum of those of all ranks, in place. All ranks have the same bits then.</summary>
    /// <param name="address">First element.</param>
    /// <param name="elements">Number of elements, the same everywhere.</param>
    /// <param name="type">Float, Double, Int32 or Int64; Float16 and BFloat16 are added in float32 and rounded once an addition.</param>
    /// <param name="stream">The device's stream, 0 on the host.</param>
    /// <exception cref="CollectiveException">The library reports an error, or the type is another.</exception>
    void AllReduce(nint address, long elements, ElementType type, nint stream = 0);

    /// <summary>Adds the tensors of all ranks and gives each rank its part of the sum.</summary>
    /// <param name="source">Size × <paramref name="elements"/> elements; left as it is.</param>
    /// <param name="target">Elements of this rank's part.</param>
    /// <param name="elements">Elements of a part, the same everywhere.</param>
    /// <param name="type">As for <see cref="AllReduce"/>.</param>
    /// <param name="stream">The device's stream, 0 on the host.</param>
    /// <exception cref="CollectiveException">The library reports an error, or the type is another.</exception>
    void ReduceScatter(nint source, nint target, long elements, ElementType type, nint stream = 0);

    /// <summary>Puts the parts of all ranks one after the other, on all ranks.</summary>
    /// <param name="source">This rank's part.</param>
    /// <param name="target">Size × <paramref name="bytes"/>.</param>
    /// <param name="bytes">Bytes of a part, the same everywhere.</param>
    /// <param name="stream">The device's stream, 0 on the host.</param>
    /// <exception cref="CollectiveException">The library reports an error.</exception>
    void AllGather(nint source, nint target, long bytes, nint stream = 0);

    /// <summary>Copies memory of one rank to all others.</summary>
    /// <param name="address">What is read on the root and written elsewhere.</param>
    /// <param name="bytes">Its length, the same everywhere.</param>
    /// <param name="root">The rank that has the values.</param>
    /// <param name="stream">The device's stream, 0 on the host.</param>
    /// <exception cref="CollectiveException">The library reports an error.</exception>
    void Broadcast(nint address, long bytes, int root = 0, nint stream = 0);

    /// <summary>Returns when all ranks have called it.</summary>
    /// <exception cref="CollectiveException">The library reports an error.</exception>
    void Barrier();

    /// <summary>Ends the processes of all ranks, this one included: for a rank that cannot go on. Does not return where the library can
    /// do that.</summary>
    /// <param name="code">Exit code.</param>
    void Abort(int code);
}
