# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Files that a hosting service reads: the citation, forms for issues, where mail goes to."""

from xml.etree import ElementTree

from paths import SOURCE
import pytest
import yaml

FORMS = sorted((SOURCE / '.github' / 'ISSUE_TEMPLATE').glob('*_*.yml'))
KINDS = {'markdown', 'textarea', 'input', 'dropdown', 'checkboxes'}  # of elements that GitHub has
CONCEPTS = sorted((SOURCE / 'docs' / 'concepts').glob('*.md'))


def test_the_citation_is_of_this_package_and_of_papers_that_the_documentation_cites():
    citation = yaml.safe_load((SOURCE / 'CITATION.cff').read_text())
    manifest = ElementTree.parse(SOURCE / 'package.xml').getroot()
    assert citation['cff-version'] == '1.2.0'
    for key, field in (('title', 'name'), ('abstract', 'description'), ('license', 'license')):
        assert citation[key] == manifest.findtext(field)
    assert [author['name'] for author in citation['authors']] == [manifest.findtext('maintainer')]
    cited = ''.join(page.read_text() for page in CONCEPTS)
    assert [paper['url'] for paper in citation['references'] if paper['url'] not in cited] == []


@pytest.mark.parametrize('form', FORMS, ids=lambda form: form.stem)
def test_a_form_asks_what_a_person_can_answer(form):
    facts = yaml.safe_load(form.read_text())
    assert facts['name'] and facts['description']
    asked = [element for element in facts['body'] if element['type'] != 'markdown']
    assert {element['type'] for element in facts['body']} <= KINDS
    assert len({element['id'] for element in asked}) == len(asked) > 0
    for element in asked:
        assert isinstance(element['attributes']['label'], str)
        options = element['attributes'].get('options', ['text'])
        assert all(isinstance(option, str) for option in options)  # an unquoted yes is no text


def test_there_are_forms():
    assert [form.stem for form in FORMS] == ['bug_report', 'feature_request', 'hardware_question']


def test_no_page_but_the_manifest_has_an_address_to_write_to():
    address = ElementTree.parse(SOURCE / 'package.xml').find('maintainer').get('email')
    pages = [*SOURCE.glob('*.md'), SOURCE / 'CITATION.cff', *FORMS]
    assert [page.name for page in pages if address in page.read_text()] == []
