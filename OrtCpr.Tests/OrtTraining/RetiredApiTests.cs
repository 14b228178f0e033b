using System.Reflection;
using OrtCpr.Tests.House;
using OrtCpr.Tool.Verify;
using Retired = Microsoft.ML.OnnxRuntime;

namespace OrtCpr.Tests.OrtTraining;

/// <summary>The managed API of ONNX Runtime training 1.19.2. The stock package still has its types, which only throw, so they are the
/// list of what a program may use.</summary>
[TestClass]
public sealed class RetiredApiTests
{
    private const string Using = "using OrtCpr.OrtTraining;";

    private static readonly (Type Retired, Type Ours)[] Types =
    [
        (typeof(Retired.TrainingSession), typeof(OrtCpr.OrtTraining.TrainingSession)),
        (typeof(Retired.CheckpointState), typeof(OrtCpr.OrtTraining.CheckpointState)),
        (typeof(Retired.TrainingUtils), typeof(OrtCpr.OrtTraining.TrainingUtils)),
    ];

    private static string Folder => Path.Combine(AppContext.BaseDirectory, "Data", "ort-artifacts", "mlp_ce_adamw");

    [TestMethod]
    public void TheTableInTheDocument_HasEveryMember_AndEveryMemberIsThere()
    {
        string[] rows = [.. File.ReadLines(Path.Combine(Repository.Root, "docs", "artifacts.md"))
            .Where(l => Types.Any(t => l.StartsWith($"| `{t.Retired.Name}", StringComparison.Ordinal)))
            .Select(l => l.Split('`')[1])];
        string[] retired = [.. Types.SelectMany(t => Members(t.Retired)).Order(StringComparer.Ordinal)];
        CollectionAssert.AreEqual(retired, rows.Order(StringComparer.Ordinal).ToArray(),
            $"missing: {string.Join("; ", retired.Except(rows))}; too many: {string.Join("; ", rows.Except(retired))}");
        string[] missing = [.. retired.Except(Types.SelectMany(t => Members(t.Ours)))];
        Assert.IsEmpty(missing, string.Join("; ", missing));
        foreach ((Type theirs, Type ours) in Types) Assert.AreEqual(theirs.BaseType, ours.BaseType);
    }

    [TestMethod]
    public void NoOtherType_BelongsToTraining()
    {
        string[] types = [.. typeof(Retired.TrainingSession).Assembly.GetExportedTypes().Select(t => t.Name)
            .Where(n => n.Contains("Train", StringComparison.Ordinal) || n.Contains("Checkpoint", StringComparison.Ordinal)
                || n.Contains("Scheduler", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];
        // A table of native functions, which no program can get at.
        CollectionAssert.AreEqual(new[] { "CheckpointState", "OrtTrainingApi", "TrainingSession", "TrainingUtils" }, types);
    }

    [TestMethod]
    public void TheProgram_UsesEveryMember_AndIsOneOfThePackageWithoutOurUsing()
    {
        string text = File.ReadAllText(Path.Combine(Repository.Root, "OrtCpr.Tests", "OrtTraining", "RetiredProgram.cs"));
        Assert.AreEqual(1, text.Split(Using).Length - 1);
        foreach (string program in new[] { text, text.Replace(Using, "", StringComparison.Ordinal) })
        {
            string[] problems = [.. DocumentPrograms.Problems(program)];
            Assert.IsEmpty(problems, string.Join('\n', problems));
        }
        foreach (MethodBase method in Types.SelectMany(t => Public(t.Retired)).OfType<MethodBase>()
            .Where(m => m.IsPublic && !m.IsSpecialName))
        {
            StringAssert.Contains(text, $"{method.Name}(");
        }
    }

    [TestMethod]
    public void TheProgram_Runs_WithTheErrorsOfThePackage()
    {
        using var folder = new TemporaryFolder();
        using var data = new CaseData(Path.Combine(Folder, "trajectory.safetensors"));
        List<string> log = RetiredProgram.Job.Run(Folder, folder.FolderPath, CaseData.Slice(data.Tensor("batch/input"), 0).ToArray<float>(),
            CaseData.Slice(data.Tensor("batch/labels"), 0).ToArray<long>());
        string[] losses = [.. log.Where(l => l.StartsWith("loss ", StringComparison.Ordinal))];
        double[] values = [.. losses.Select(l => double.Parse(l["loss ".Length..], System.Globalization.CultureInfo.InvariantCulture))];
        Assert.HasCount(4, values);
        Assert.IsLessThan(values[0], values[^1]);
        CollectionAssert.IsSubsetOf(new[] { "valid True", "inputs input labels", "rate 0.001", "2 outputs", "evaluated True" }, log);
        CollectionAssert.AreEqual(new[]
        {
            nameof(InvalidOperationException), nameof(InvalidOperationException), nameof(ArgumentException), nameof(ArgumentException),
            nameof(ArgumentException), nameof(ArgumentException),
        }, log[^6..]);
        foreach (string file in new[] { "checkpoint", "weights", "inference.onnx" }) Assert.IsTrue(File.Exists(folder[file]), file);
    }

    private static IEnumerable<string> Members(Type type) => Public(type).Select(m => m switch
    {
        ConstructorInfo c => $"{type.Name}({Parameters(c)})",
        MethodInfo f => $"{type.Name}.{f.Name}({Parameters(f)})",
        _ => $"{type.Name}.{m.Name}",
    });

    private static IEnumerable<MemberInfo> Public(Type type) => type
        .GetMembers(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)
        .Where(m => m switch
        {
            // Finalize is the finalizer, which no program calls.
            MethodInfo f => (f.IsPublic || f.IsFamily) && !f.IsSpecialName && f.Name != "Finalize",
            MethodBase b => b.IsPublic || b.IsFamily,
            PropertyInfo p => p.GetMethod!.IsPublic,
            _ => false,
        });

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(p =>
        $"{Name(p.ParameterType)} {p.Name}{(p.HasDefaultValue ? $" = {p.RawDefaultValue!.ToString()!.ToLowerInvariant()}" : "")}"));

    private static string Name(Type type) => type switch
    {
        { IsGenericType: true } => $"{type.Name.Split('`')[0]}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>",
        _ when type == typeof(string) => "string",
        _ when type == typeof(bool) => "bool",
        _ when type == typeof(long) => "long",
        _ when type == typeof(float) => "float",
        _ => type.Name,
    };
}
