using OrtCpr.Graph;

namespace OrtCpr.Distributed.Launch;

/// <summary>A process alone: everything is already what it would become.</summary>
internal sealed class SingleProcess : ICollective
{
    public int Rank => 0;

    public int Size => 1;

    public bool IsOnDevice => false;

    public void AllReduce(nint address, long elements, ElementType type, nint stream = 0)
    {
    }

    public unsafe void ReduceScatter(nint source, nint target, long elements, ElementType type, nint stream = 0)
    {
        long bytes = elements * type.BitsPerElement() / 8;
        Buffer.MemoryCopy((void*)source, (void*)target, bytes, bytes);
    }

    public unsafe void AllGather(nint source, nint target, long bytes, nint stream = 0) =>
        Buffer.MemoryCopy((void*)source, (void*)target, bytes, bytes);

    public void Broadcast(nint address, long bytes, int root = 0, nint stream = 0)
    {
    }

    public void Barrier()
    {
    }

    public void Abort(int code) => Environment.Exit(code);

    public void Dispose()
    {
    }
}
