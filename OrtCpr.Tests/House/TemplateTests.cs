using System.Xml.Linq;

namespace OrtCpr.Tests.House;

/// <summary>What the template of dotnet new names is what this version is.</summary>
[TestClass]
public sealed class TemplateTests
{
    [TestMethod]
    public void PackagesOfTheTemplate_HaveTheVersionsOfTheRepository()
    {
        XDocument project = XDocument.Load(Path.Combine(Repository.Root, "OrtCpr.Templates/templates/ortcpr-finetune/FineTune.1.csproj")),
            build = XDocument.Load(Path.Combine(Repository.Root, "Directory.Build.props")),
            central = XDocument.Load(Path.Combine(Repository.Root, "Directory.Packages.props"));
        var versions = project.Descendants("PackageReference")
            .ToDictionary(p => p.Attribute("Include")!.Value, p => p.Attribute("Version")!.Value, StringComparer.Ordinal);
        Assert.AreEqual(build.Descendants("Version").Single().Value, versions["OrtCpr"]);
        Assert.AreEqual(central.Descendants("PackageVersion")
            .Single(p => p.Attribute("Include")!.Value == "Microsoft.ML.OnnxRuntime").Attribute("Version")!.Value,
            versions["Microsoft.ML.OnnxRuntime"]);
    }
}
