using OrtCpr.Graph;

namespace OrtCpr.Tests.Collectives;

// Ranks that are threads of the tests' process, each with a driver of its own.
internal sealed class ThreadRanks : IDisposable
{
    private readonly Barrier _barrier;
    private readonly nint[] _addresses;
    private volatile bool _isBroken;

    private ThreadRanks(int size)
    {
        _barrier = new Barrier(size);
        _addresses = new nint[size];
    }

    // Runs a program on every rank; the result of each. What one of them throws first is thrown.
    public static T[] Run<T>(int size, Func<ICollective, T> program)
    {
        using var ranks = new ThreadRanks(size);
        var results = new T[size];
        var errors = new List<Exception>();
        Thread[] threads = [.. Enumerable.Range(0, size).Select(rank => new Thread(() =>
        {
            using var own = new ThreadRank(ranks, rank);
            try
            {
                results[rank] = program(own);
            }
#pragma warning disable CA1031 // Thrown again by the thread that asked.
            catch (Exception error)
#pragma warning restore CA1031
            {
                lock (errors) errors.Add(error);
                own.Abort(1);
            }
        }))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        if (errors.Count > 0) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(errors[0]);
        return results;
    }

    public void Dispose() => _barrier.Dispose();

    private void Wait()
    {
        if (_isBroken || !_barrier.SignalAndWait(TimeSpan.FromSeconds(120)) || _isBroken)
            throw new CollectiveException("Another rank has failed.");
    }

    private sealed class ThreadRank(ThreadRanks ranks, int rank) : ICollective
    {
        public int Rank => rank;

        public int Size => ranks._addresses.Length;

        public bool IsOnDevice => false;

        // All read before anybody writes, and in the order of ranks, so that all have the same bits.
        public unsafe void AllReduce(nint address, long elements, ElementType type, nint stream = 0)
        {
            ranks._addresses[rank] = address;
            ranks.Wait();
            int length = (int)elements;
            switch (type)
            {
                case ElementType.Float:
                    float[] floats = new float[length];
                    foreach (nint other in ranks._addresses)
                    {
                        for (int i = 0; i < length; i++) floats[i] += ((float*)other)[i];
                    }
                    ranks.Wait();
                    floats.CopyTo(new Span<float>((void*)address, length));
                    break;
                case ElementType.Double:
                    double[] doubles = new double[length];
                    foreach (nint other in ranks._addresses)
                    {
                        for (int i = 0; i < length; i++) doubles[i] += ((double*)other)[i];
                    }
                    ranks.Wait();
                    doubles.CopyTo(new Span<double>((void*)address, length));
                    break;
                case ElementType.BFloat16:
                    float[] wide = new float[length];
                    foreach (nint other in ranks._addresses)
                    {
                        for (int i = 0; i < length; i++) wide[i] += BitConverter.UInt32BitsToSingle((uint)((ushort*)other)[i] << 16);
                    }
                    ranks.Wait();
                    TensorData.From<float>(wide, length).ConvertTo(type).Bytes.Span.CopyTo(new Span<byte>((void*)address, length * 2));
                    break;
                default:
                    throw new CollectiveException($"{type} is not added here.");
            }
            ranks.Wait();
        }

        public void ReduceScatter(nint source, nint target, long elements, ElementType type, nint stream = 0) =>
            throw new NotSupportedException();

        public unsafe void AllGather(nint source, nint target, long bytes, nint stream = 0)
        {
            ranks._addresses[rank] = source;
            ranks.Wait();
            for (int i = 0; i < Size; i++)
            {
                new Span<byte>((void*)ranks._addresses[i], (int)bytes)
                    .CopyTo(new Span<byte>((void*)(target + (nint)(i * bytes)), (int)bytes));
            }
            ranks.Wait();
        }

        public unsafe void Broadcast(nint address, long bytes, int root = 0, nint stream = 0)
        {
            ranks._addresses[rank] = address;
            ranks.Wait();
            if (rank != root)
                new Span<byte>((void*)ranks._addresses[root], (int)bytes).CopyTo(new Span<byte>((void*)address, (int)bytes));
            ranks.Wait();
        }

        public void Barrier() => ranks.Wait();

        public void Abort(int code)
        {
            ranks._isBroken = true;
            ranks._barrier.RemoveParticipant();
        }

        public void Dispose()
        {
        }
    }
}
