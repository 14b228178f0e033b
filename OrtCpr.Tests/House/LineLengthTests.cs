namespace OrtCpr.Tests.House;

/// <summary>Lines of code have at most 140 columns.</summary>
[TestClass]
public sealed class LineLengthTests
{
    private const int Columns = 140;

    [TestMethod]
    public void Lines_HaveAtMost140Columns()
    {
        string[] problems = [.. Long()];
        Assert.IsEmpty(problems, string.Join('\n', problems));
    }

    private static IEnumerable<string> Long() => Repository.Sources().SelectMany(source => source.Lines
        .Select((line, i) => (Text: $"{source.Path}({i + 1}): {line.Length} columns", line.Length))
        .Where(line => line.Length > Columns).Select(line => line.Text));
}
