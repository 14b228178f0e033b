using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace OrtCpr.Data;

/// <summary>Makes batches ahead on a thread of the pool. The channel owns batches that nobody has taken yet: they are
/// disposed when the consumer leaves early. Errors of the producer reach the consumer after the batches that came
/// before; when the enumeration is over, so is the producer.</summary>
internal static class Prefetch
{
    public static IEnumerable<Batch> Ahead(IEnumerable<Batch> batches, int count)
    {
        using var stop = new CancellationTokenSource();
        (ChannelReader<Batch> reader, Task producer) = Start(batches, count, stop.Token);
        try
        {
            while (Wait(reader))
            {
                while (reader.TryRead(out Batch? batch)) yield return batch;
            }
        }
        finally
        {
            stop.Cancel();
            Drain(reader);
            producer.GetAwaiter().GetResult();
            Drain(reader);
        }
    }

    public static async IAsyncEnumerable<Batch> AheadAsync(IEnumerable<Batch> batches, int count,
        [EnumeratorCancellation] CancellationToken cancellation)
    {
        using var stop = new CancellationTokenSource();
        (ChannelReader<Batch> reader, Task producer) = Start(batches, count, stop.Token);
        try
        {
            while (await reader.WaitToReadAsync(cancellation).ConfigureAwait(false))
            {
                while (reader.TryRead(out Batch? batch)) yield return batch;
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            Drain(reader);
            await producer.ConfigureAwait(false);
            Drain(reader);
        }
    }

    private static (ChannelReader<Batch> Reader, Task Producer) Start(IEnumerable<Batch> batches, int count, CancellationToken stop)
    {
        Channel<Batch> channel =
            Channel.CreateBounded<Batch>(new BoundedChannelOptions(count) { SingleReader = true, SingleWriter = true });
        return (channel.Reader, Task.Run(() => Produce(batches, channel.Writer, stop), CancellationToken.None));
    }

    private static async Task Produce(IEnumerable<Batch> batches, ChannelWriter<Batch> writer, CancellationToken stop)
    {
        Batch? waiting = null;
        try
        {
            foreach (Batch batch in batches)
            {
                waiting = batch;
                await writer.WriteAsync(batch, stop).ConfigureAwait(false);
                waiting = null;
                if (stop.IsCancellationRequested) break;
            }
            writer.TryComplete();
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            waiting?.Dispose();
            writer.TryComplete();
        }
        catch (Exception error)
        {
            writer.TryComplete(error);
        }
    }

    private static bool Wait(ChannelReader<Batch> reader) => reader.WaitToReadAsync().AsTask().GetAwaiter().GetResult();

    private static void Drain(ChannelReader<Batch> reader)
    {
        while (reader.TryRead(out Batch? batch)) batch.Dispose();
    }
}
