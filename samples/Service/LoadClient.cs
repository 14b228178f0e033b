using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Samples;

namespace Service;

// Measures a service of its own on loopback: requests at a fixed rate, whether answered or not, first without training and then with it.
internal static class LoadClient
{
    private const int Features = 10, Classes = 5, ExamplesATime = 16;
    private static readonly TimeSpan BetweenExamples = TimeSpan.FromMilliseconds(100), WarmUp = TimeSpan.FromSeconds(3);

    public static async Task<int> RunAsync(Settings settings)
    {
        string folder = Directory.CreateTempSubdirectory("ortcpr-service").FullName;
        using Process service = Start(settings, folder);
        try
        {
            using var http = new HttpClient { BaseAddress = new Uri(await AddressAsync(service)), Timeout = TimeSpan.FromSeconds(10) };
            await PhaseAsync(http, service, settings.Rate, WarmUp, training: false);
            var time = TimeSpan.FromSeconds(settings.Load);
            Phase without = await PhaseAsync(http, service, settings.Rate, time, training: false);
            Console.WriteLine(Phase.Heading);
            Console.WriteLine(without.Line("without training"));
            Phase with = await PhaseAsync(http, service, settings.Rate, time, training: true);
            Console.WriteLine(with.Line("with training"));
            int lost = without.Lost + with.Lost;
            Console.WriteLine($"lost: {lost} of {without.Sent + with.Sent}; {with.Versions} models answered while training");
            return lost == 0 ? 0 : 1;
        }
        finally
        {
            service.Kill();
            await service.WaitForExitAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Process Start(Settings settings, string folder)
    {
        string[] words = [typeof(LoadClient).Assembly.Location, "--port", "0", "--out", folder,
            "--batch-size", Text(settings.BatchSize), "--round-steps", Text(settings.RoundSteps), "--keep", Text(settings.Keep),
            "--training-threads", Text(settings.TrainingThreads), "--lr", settings.Lr.ToString("R", CultureInfo.InvariantCulture),
            "--training-priority", settings.TrainingPriority];
        return Process.Start(new ProcessStartInfo("dotnet", words) { RedirectStandardOutput = true })
            ?? throw new SampleException("The service did not start.");
        static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
    }

    private static async Task<string> AddressAsync(Process service)
    {
        const string Mark = "serving at ";
        while (await service.StandardOutput.ReadLineAsync() is string line)
        {
            if (!line.StartsWith(Mark, StringComparison.Ordinal)) continue;
            // Nobody reads the rest, but a full pipe would stop the service.
            _ = service.StandardOutput.BaseStream.CopyToAsync(Stream.Null);
            return line[Mark.Length..];
        }
        throw new SampleException("The service ended before it served; what it wrote is above.");
    }

    private static async Task<Phase> PhaseAsync(HttpClient http, Process service, int rate, TimeSpan time, bool training)
    {
        var phase = new Phase { MemoryBefore = Memory(service) };
        using var over = new CancellationTokenSource();
        Task feeding = training ? FeedAsync(http, over.Token) : Task.CompletedTask;
        var requests = new List<Task>();
        var random = new Random(1);
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) is var elapsed && elapsed < time)
        {
            while (requests.Count < elapsed.TotalSeconds * rate) requests.Add(phase.AskAsync(http, Rows(random, 1).X));
            await Task.Delay(1);
            phase.MemoryPeak = Math.Max(phase.MemoryPeak, requests.Count % 50 == 0 ? Memory(service) : 0);
        }
        await Task.WhenAll(requests);
        await over.CancelAsync();
        await feeding;
        phase.MemoryAfter = Memory(service);
        phase.Status = await http.GetFromJsonAsync<StatusAnswer>("/status");
        return phase;
    }

    private static async Task FeedAsync(HttpClient http, CancellationToken over)
    {
        var random = new Random(2);
        while (!over.IsCancellationRequested)
        {
            (float[][] x, long[] labels) = Rows(random, ExamplesATime);
            using HttpResponseMessage answer =
                await http.PostAsJsonAsync("/examples", new ExamplesRequest(x, labels), CancellationToken.None);
            answer.EnsureSuccessStatusCode();
            await Task.Delay(BetweenExamples, CancellationToken.None);
        }
    }

    // Five clusters in ten dimensions.
    private static (float[][] X, long[] Labels) Rows(Random random, int count)
    {
        long[] labels = [.. Enumerable.Range(0, count).Select(_ => (long)random.Next(Classes))];
        return ([.. labels.Select(l => Enumerable.Range(0, Features)
            .Select(j => random.NextSingle() + (j % Classes == l ? 1 : 0)).ToArray())], labels);
    }

    private static long Memory(Process service)
    {
        service.Refresh();
        return service.WorkingSet64;
    }

    private sealed record StatusAnswer(long Swaps, TrainingAnswer Training);

    private sealed record TrainingAnswer(long Steps);

    private sealed class Phase
    {
        private readonly ConcurrentBag<double> _milliseconds = [];
        private readonly ConcurrentDictionary<long, bool> _versions = new();
        private int _sent;

        public const string Heading = "                    requests  lost   p50 ms   p95 ms   p99 ms   max ms"
            + "   MB before   peak   after    steps  swaps";

        public int Sent => _sent;

        public int Lost => _sent - _milliseconds.Count;

        public int Versions => _versions.Count;

        public long MemoryBefore { get; init; }

        public long MemoryPeak { get; set; }

        public long MemoryAfter { get; set; }

        public StatusAnswer? Status { get; set; }

        // Whatever keeps an answer away is a loss, and counted as one.
        public async Task AskAsync(HttpClient http, float[][] rows)
        {
            Interlocked.Increment(ref _sent);
            long start = Stopwatch.GetTimestamp();
            try
            {
                using HttpResponseMessage answer = await http.PostAsJsonAsync("/predict", new PredictRequest(rows));
                PredictAnswer? body = answer.IsSuccessStatusCode ? await answer.Content.ReadFromJsonAsync<PredictAnswer>() : null;
                if (body is not { Classes.Length: 1 }) return;
                _milliseconds.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                _versions[body.Version] = true;
            }
            catch (Exception error) when (error is HttpRequestException or TaskCanceledException)
            {
                Console.Error.WriteLine(error.Message);
            }
        }

        public string Line(string name)
        {
            double[] sorted = [.. _milliseconds.Order()];
            double At(double share) => sorted.Length == 0 ? double.NaN : sorted[Math.Min(sorted.Length - 1, (int)(share * sorted.Length))];
            static double Mega(long bytes) => bytes / 1e6;
            return string.Create(CultureInfo.InvariantCulture, $"{name,-18}{Sent,10}{Lost,6}{At(0.5),9:F2}{At(0.95),9:F2}{At(0.99),9:F2}"
                + $"{At(1),9:F2}{Mega(MemoryBefore),12:F0}{Mega(Math.Max(MemoryPeak, MemoryAfter)),7:F0}{Mega(MemoryAfter),8:F0}"
                + $"{Status?.Training.Steps,9}{Status?.Swaps,7}");
        }
    }
}
