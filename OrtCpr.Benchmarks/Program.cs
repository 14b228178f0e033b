using System.Globalization;
using OrtCpr.Benchmarks;
using OrtCpr.Benchmarks.Harness;
using OrtCpr.Benchmarks.Sides;
using OrtCpr.Graph;

if (args is [ChildProcess.Verb, ..])
    return Children.Run(args[1..]);

IBenchmark[] all =
[
    new OptimizerBenchmark(), .. TrainingTask.All.Select(t => new StepBenchmark(t)), new FineTuneBenchmark(), new GrokkingBenchmark(),
        new OverheadBenchmark(),
        new MemoryBenchmark(), new ColdBenchmark(),
    new ScalingBenchmark(),
];

const double BusyLoad = 0.3;
string? busy = null;
BenchmarkOptions options;
try
{
    options = BenchmarkOptions.Parse(args, [.. all.Select(b => b.Name)]);
}
catch (ArgumentException error)
{
    Console.Error.WriteLine(error.Message);
    Console.Error.WriteLine(BenchmarkOptions.Usage([.. all.Select(b => b.Name)]));
    return 2;
}

Console.WriteLine(Machine.Describe(options.Threads));
if (Machine.Load() is double load && load > BusyLoad)
{
    busy = string.Create(CultureInfo.InvariantCulture,
        $"The machine was busy with other work before the start (load {load:F1} a processor): "
        + $"the figures are rough, those of many threads most.");
}
int failures = 0;
foreach (string name in options.Names)
{
    IBenchmark benchmark = all.First(b => b.Name == name);
    Console.WriteLine();
    Console.WriteLine($"{benchmark.Name}: {benchmark.Title}");
    var report = new Report(benchmark.Name, benchmark.Title);
    if (busy is not null)
        report.Remark(busy);
    try
    {
        if (options.Profile)
        {
            Console.WriteLine(ProfileRun.Of(name, options));
            continue;
        }
        benchmark.Run(options, report);
    }
    catch (Exception error) when (error is BenchmarkException or OrtCprException)
    {
        Console.Error.WriteLine($"{name}: {error.Message}");
        failures++;
        continue;
    }
    Console.WriteLine(report.ToText());
    if (options.Quick)
        Console.WriteLine("(--quick: docs/benchmarks.md is left as it is)");
    else if (report.HasRows && ReportFile.Find() is string file)
        ReportFile.Replace(file, name, report.ToMarkdown(options));
}
return failures == 0 ? 0 : 1;
